//! Small ELF files for tests, put together the way the linker lays out a vmlinux.

/// An executable with one loaded segment of `loaded` and the named sections: those whose name starts with `.debug`,
/// `.symtab` or `.comment` lie behind the segment, the others inside.
pub(crate) fn build(sections: &[(&str, &[u8])]) -> Vec<u8> {
    build_at(None, sections)
}

/// The same, with addresses: where the file's first byte is when it runs.
pub(crate) fn build_at(address: Option<u64>, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let unloaded = |name: &str| [".debug", ".symtab", ".comment"].iter().any(|prefix| name.starts_with(prefix));
    let mut file = vec![0; 64 + 56];
    let mut names = vec![0];
    let mut headers = vec![vec![0; 64]];
    let mut place = |file: &mut Vec<u8>, name: &str, contents: &[u8]| {
        file.resize(file.len().next_multiple_of(16), 0);
        let mut header = vec![0; 64];
        header[0..4].copy_from_slice(&(names.len() as u32).to_le_bytes());
        header[4..8].copy_from_slice(&1u32.to_le_bytes());
        header[16..24].copy_from_slice(&address.map_or(0, |address| address + file.len() as u64).to_le_bytes());
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(contents.len() as u64).to_le_bytes());
        header[48..56].copy_from_slice(&16u64.to_le_bytes());
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        file.extend_from_slice(contents);
        headers.push(header);
    };
    for (name, contents) in sections.iter().filter(|(name, _)| !unloaded(name)) {
        place(&mut file, name, contents);
    }
    let loaded_end = file.len() as u64;
    for (name, contents) in sections.iter().filter(|(name, _)| unloaded(name)) {
        place(&mut file, name, contents);
    }
    let names_with_own = [b"\0".as_slice(), &sections_names(sections, unloaded), b".shstrtab\0"].concat();
    place(&mut file, ".shstrtab", &names_with_own);
    let table = file.len().next_multiple_of(8);
    file.resize(table, 0);
    let count = headers.len() as u16;
    headers.iter().for_each(|header| file.extend_from_slice(header));
    write_headers(&mut file, table as u64, count, loaded_end);
    file
}

fn sections_names(sections: &[(&str, &[u8])], unloaded: impl Fn(&str) -> bool) -> Vec<u8> {
    let (behind, inside): (Vec<_>, Vec<_>) = sections.iter().map(|(name, _)| *name).partition(|name| unloaded(name));
    inside.iter().chain(&behind).flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect()
}

fn write_headers(file: &mut [u8], table: u64, count: u16, loaded_end: u64) {
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    file[16..18].copy_from_slice(&2u16.to_le_bytes());
    file[18..20].copy_from_slice(&62u16.to_le_bytes());
    file[32..40].copy_from_slice(&64u64.to_le_bytes());
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[54..56].copy_from_slice(&56u16.to_le_bytes());
    file[56..58].copy_from_slice(&1u16.to_le_bytes());
    file[58..60].copy_from_slice(&64u16.to_le_bytes());
    file[60..62].copy_from_slice(&count.to_le_bytes());
    file[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    file[64..68].copy_from_slice(&1u32.to_le_bytes());
    file[64 + 32..64 + 40].copy_from_slice(&loaded_end.to_le_bytes());
}

/// A kernel with a banner, for release 7.3.4-test.
pub(crate) fn kernel() -> Vec<u8> {
    let text: Vec<u8> = (0..4096u32).map(|at| (at * at / 7) as u8).collect();
    build(&[(".text", &text), (".rodata", b"\0Linux version 7.3.4-test (builder@host) #1 SMP\n\0")])
}
