//! A program or a library that is to be packed.

/// Reads what the loader would, and strips it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_initramfs::fuzzing::program(bytes);
}

/// A small ELF file, a script, and what this machine has that is dynamically linked.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let script = b"#!/usr/bin/env -S A=b python3 -u\n".to_vec();
    let mut seeds = vec![crate::vmlinux::seeds().swap_remove(0), script];
    seeds.extend(std::fs::read("/bin/true"));
    seeds
}
