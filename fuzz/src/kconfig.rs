//! A kernel's configuration.

/// Reads what is text.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::config(&String::from_utf8_lossy(bytes));
}

/// Each kind of line.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![b"# comment\nCONFIG_SMP=y\nCONFIG_NR_CPUS=512\nCONFIG_X=\"a=b\"\n# CONFIG_Y is not set\n".to_vec()]
}
