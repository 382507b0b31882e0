//! The symbol table in a kernel's constants.

/// The first byte moves the place of the constants.
pub(crate) fn run(bytes: &[u8]) {
    let Some((place, constants)) = bytes.split_first() else { return };
    ktstr_kernels::fuzzing::constants(constants, 0xffff_ffff_8100_0000 + u64::from(*place) * 4096);
}

/// Tokens for each letter, as scripts/kallsyms.c leaves those that it did not need, and three names.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    let mut index = Vec::new();
    for letter in 0..=255u8 {
        index.extend_from_slice(&(tokens.len() as u16).to_le_bytes());
        if letter.is_ascii_graphic() {
            tokens.push(letter);
        }
        tokens.push(0);
    }
    [4, 8].map(|align| constants(align, &tokens, &index)).to_vec()
}

fn constants(align: usize, tokens: &[u8], index: &[u8]) -> Vec<u8> {
    let names: Vec<u8> = ["T_text", "T_stext", "tlocal"]
        .iter()
        .flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat())
        .collect();
    let offsets: Vec<u8> = [0, 0x100, 0x200u32].iter().flat_map(|offset| offset.to_le_bytes()).collect();
    let mut out = vec![0];
    for table in [
        &3u32.to_le_bytes()[..],
        &names,
        &0u32.to_le_bytes(),
        tokens,
        index,
        &offsets,
        &0xffff_ffff_8100_0000u64.to_le_bytes(),
    ] {
        out.extend_from_slice(table);
        out.resize(1 + (out.len() - 1).next_multiple_of(align), 0);
    }
    out
}
