//! The index of libraries that ldconfig(8) writes.

/// Reads it.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_initramfs::fuzzing::ld_cache(bytes);
}

/// One library, in the new format alone and behind an empty table of the old one.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let words: [u32; 13] = [1, 0, 0, 0, 0, 0, 0, 0x303, 72, 82, 0, 0, 0];
    let mut new = b"glibc-ld.so.cache1.1".to_vec();
    new.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    new.extend_from_slice(b"libc.so.6\0/lib/libc.so.6\0");
    vec![[b"ld.so-1.7.0\0\0\0\0\0".as_slice(), &new].concat(), new]
}
