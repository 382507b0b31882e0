//! What an earlier run left in the cache: answers, descriptions of kernels, tables of symbols.

/// Reads it as each of them.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_kernels::fuzzing::cached(bytes);
}

/// An answer, and symbols.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let stamp = r#"{"path":"/boot/vmlinuz","size":1,"modified_ns":2,"inode":3,"device":4}"#;
    let answer = format!(r#"{{"id":"7.3.4-1f0c92ab","found_at":1,"stamps":[{stamp}]}}"#);
    let symbols = "ffffffff81000000 T _text\nffffffff81000010 t a\nffffffff81000020 T a\n";
    vec![answer.into_bytes(), symbols.into()]
}
