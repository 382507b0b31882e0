//! Names of kernels, and versions.

/// Reads what is text.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::spec(&String::from_utf8_lossy(bytes));
}

/// Each kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let kinds = [
        "7.2",
        "6.16.12",
        "latest",
        "host",
        "path:/boot/vmlinuz",
        "deb:linux-image-7.3.4-amd64",
        "source:linux-source-6.12",
        "git:https://a/b#v7",
        "2:1.0~rc1-1+b2 1.0-1",
        "7.3.4+deb13-cloud-amd64",
    ];
    kinds.map(Into::into).to_vec()
}
