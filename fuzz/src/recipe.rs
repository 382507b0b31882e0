//! What an earlier run noted about an image.

/// Reads it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_initramfs::fuzzing::recipe(bytes);
}

/// A file that was there, and one that was not.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![b"1f0c 512\n1 2 3 -4 /lib/a b\0- - - - /lib/c\0".to_vec(), b"1f0c 512\n".to_vec()]
}
