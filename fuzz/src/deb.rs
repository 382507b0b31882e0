//! The archive inside a package.

/// Looks through it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::archive(bytes);
}

/// One file of one byte, in the format of tar(5).
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut header = [0; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "./boot/vmlinuz");
    put(100, "0000644\x000000000\x000000000\x0000000000001\x0000000000000\x00");
    put(156, "0");
    put(257, "ustar\x0000");
    header[148..156].copy_from_slice(b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = [header.as_slice(), b"x"].concat();
    archive.resize(512 * 4, 0);
    vec![archive]
}
