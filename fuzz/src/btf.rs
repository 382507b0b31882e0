//! A kernel's type information, and the list of functions that programs may call.

/// The first half is `.BTF`, the rest `.BTF_ids`.
pub(crate) fn run(bytes: &[u8]) {
    let (section, ids) = bytes.split_at(bytes.len() / 2);
    ktstr_kernels::fuzzing::types(section, ids);
    ktstr_kernels::fuzzing::types(bytes, ids);
}

/// One type, `int`, and its name (Documentation/bpf/btf.rst).
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut section = vec![0x9f, 0xeb, 1, 0];
    let words: [u32; 9] = [24, 0, 16, 16, 5, 1, 1 << 24, 4, 32];
    section.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    section.extend_from_slice(b"\0int\0");
    vec![section.clone(), [section.as_slice(), &vec![0; section.len()]].concat()]
}
