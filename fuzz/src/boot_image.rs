//! The kernel's ELF file as our own monitor loads it.

/// Loads it into guest memory.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_vmm::fuzzing::boot_image(bytes);
}

/// A small kernel.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    crate::vmlinux::seeds()
}
