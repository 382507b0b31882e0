//! A kernel's ELF file: its sections, its release, its configuration, its types, its symbols.

/// Reads all of it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::vmlinux(bytes);
}

/// A small kernel.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../kernels/tests/data/kernel.elf").to_vec()]
}
