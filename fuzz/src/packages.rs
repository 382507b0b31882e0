//! What apt says of packages, and how it is told where they are.

/// Reads what is text.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::packages(&String::from_utf8_lossy(bytes));
}

/// A record, and sources in both formats.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let record = "Package: linux-image-7.3.4+deb13-cloud-amd64\nVersion: 7.3.4-1\nSize: 1\nSHA256: ab\n\
                  Depends: linux-base, a (= 1) | b, c (>= 2:1~rc1)\n\nPackage: b\nVersion: 1\n";
    let deb822 = "Types: deb\nURIs: http://a/b\nSuites: bookworm bookworm-updates\nComponents: main\n\
                  Signed-By:\n -----BEGIN\n .\n";
    let lines = "deb [signed-by=/k arch=amd64] http://a/b bookworm main contrib # why\n";
    [record, deb822, lines].map(Into::into).to_vec()
}
