//! Leaves debug information out of an ELF file, or leaves the file as it is where that is not surely safe.
//!
//! Everything that a loader maps, and everything before the end of it, keeps its bytes and its offset. Behind it, the
//! debug sections go and the others (`.symtab`, `.strtab`, `.comment`) move up; then comes the section header table
//! with the headers of the dropped sections zeroed (SHT_NULL) rather than removed, so that no section index changes.
//! Function names stay: a panic in the guest has a readable backtrace, without files and lines.

use goblin::container::{Container, Ctx};
use goblin::elf::header::{ET_DYN, ET_EXEC};
use goblin::elf::section_header::{SHF_ALLOC, SHT_NOBITS, SHT_NULL};
use goblin::elf::{Elf, ProgramHeader, SectionHeader};

/// Size of `Elf64_Shdr`.
const SHDR_BYTES: usize = 64;
/// Offset of `e_shoff` in `Elf64_Ehdr`, and of `sh_offset` in `Elf64_Shdr`.
const E_SHOFF_AT: usize = 0x28;
const SH_OFFSET_AT: usize = 24;

/// The file without its debug information; the same bytes when there is none or when it can't be taken out safely.
pub(crate) fn strip(bytes: Vec<u8>) -> Vec<u8> {
    stripped(&bytes).unwrap_or(bytes)
}

fn stripped(bytes: &[u8]) -> Option<Vec<u8>> {
    let (phdrs, shdrs, table_at, names_index) = headers(bytes)?;
    let names = shdrs.get(names_index)?;
    let names = bytes.get(usize::try_from(names.sh_offset).ok()?..end_of(names)?)?;
    let drop: Vec<bool> = shdrs.iter().map(|shdr| is_debug(shdr, names)).collect();
    if !drop.contains(&true) {
        return None;
    }
    let mapped_end = mapped_end(bytes, &phdrs, &shdrs)?;
    let table_end = table_at.checked_add(shdrs.len().checked_mul(SHDR_BYTES)?)?;
    if table_at < mapped_end || has_trailer(bytes, &shdrs, table_end.max(mapped_end))? {
        return None;
    }
    let mut out = bytes.get(..mapped_end)?.to_vec();
    let mut table = bytes.get(table_at..table_end)?.to_vec();
    for (index, shdr) in shdrs.iter().enumerate() {
        let header = table.get_mut(index * SHDR_BYTES..(index + 1) * SHDR_BYTES)?;
        if drop[index] {
            header.fill(0);
        } else if occupies(shdr) && end_of(shdr)? > mapped_end {
            let moved = append(&mut out, bytes, shdr, mapped_end)?;
            header.get_mut(SH_OFFSET_AT..SH_OFFSET_AT + 8)?.copy_from_slice(&moved.to_le_bytes());
        }
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table_to = out.len() as u64;
    out.get_mut(E_SHOFF_AT..E_SHOFF_AT + 8)?.copy_from_slice(&table_to.to_le_bytes());
    out.extend_from_slice(&table);
    (out.len() < bytes.len()).then_some(out)
}

/// Program headers, section headers, and where the latter and their names are; for little-endian 64-bit programs and
/// libraries with an ordinary section header table.
fn headers(bytes: &[u8]) -> Option<(Vec<ProgramHeader>, Vec<SectionHeader>, usize, usize)> {
    let header = Elf::parse_header(bytes).ok()?;
    let container = header.container().ok()?;
    let little = header.endianness().ok()? == goblin::container::Endian::Little;
    let ordinary = matches!(container, Container::Big)
        && little
        && matches!(header.e_type, ET_EXEC | ET_DYN)
        && usize::from(header.e_shentsize) == SHDR_BYTES
        && header.e_shnum != 0;
    if !ordinary {
        return None;
    }
    let ctx = Ctx::new(container, header.endianness().ok()?);
    let phdrs = ProgramHeader::parse(bytes, usize::try_from(header.e_phoff).ok()?, header.e_phnum.into(), ctx).ok()?;
    let table_at = usize::try_from(header.e_shoff).ok()?;
    let shdrs = SectionHeader::parse(bytes, table_at, header.e_shnum.into(), ctx).ok()?;
    Some((phdrs, shdrs, table_at, header.e_shstrndx.into()))
}

fn is_debug(shdr: &SectionHeader, names: &[u8]) -> bool {
    let name = names.get(shdr.sh_name..).unwrap_or_default();
    let prefixes: [&[u8]; 6] = [b".debug_", b".zdebug_", b".gdb_index", b".rela.debug_", b".rel.debug_", b".stab"];
    shdr.sh_flags & u64::from(SHF_ALLOC) == 0 && prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The end of all that a program header or an allocated section covers: those bytes are not touched.
fn mapped_end(bytes: &[u8], phdrs: &[ProgramHeader], shdrs: &[SectionHeader]) -> Option<usize> {
    let header = Elf::parse_header(bytes).ok()?;
    let phdrs_bytes = u64::from(header.e_phentsize) * u64::from(header.e_phnum);
    let mut end = usize::try_from(header.e_phoff.checked_add(phdrs_bytes)?).ok()?.max(header.e_ehsize.into());
    for phdr in phdrs {
        end = end.max(usize::try_from(phdr.p_offset.checked_add(phdr.p_filesz)?).ok()?);
    }
    for shdr in shdrs.iter().filter(|shdr| occupies(shdr) && shdr.sh_flags & u64::from(SHF_ALLOC) != 0) {
        end = end.max(end_of(shdr)?);
    }
    (end <= bytes.len()).then_some(end)
}

fn occupies(shdr: &SectionHeader) -> bool {
    !matches!(shdr.sh_type, SHT_NULL | SHT_NOBITS) && shdr.sh_size > 0
}

fn end_of(shdr: &SectionHeader) -> Option<usize> {
    usize::try_from(shdr.sh_offset.checked_add(shdr.sh_size)?).ok()
}

/// Whether bytes follow that no header speaks of: self-extracting programs keep their data there.
fn has_trailer(bytes: &[u8], shdrs: &[SectionHeader], headers_end: usize) -> Option<bool> {
    let mut end = headers_end;
    for shdr in shdrs.iter().filter(|shdr| occupies(shdr)) {
        end = end.max(end_of(shdr)?);
    }
    Some(end < bytes.len())
}

/// Copies a section behind what is there and gives its new offset; refuses one that begins in what stays, or that
/// would make the file grow.
fn append(out: &mut Vec<u8>, bytes: &[u8], shdr: &SectionHeader, mapped_end: usize) -> Option<u64> {
    let start = usize::try_from(shdr.sh_offset).ok()?;
    let data = bytes.get(start..end_of(shdr)?)?;
    let align = usize::try_from(shdr.sh_addralign).ok()?.max(1);
    let to = out.len().checked_next_multiple_of(align)?;
    if start < mapped_end || to.checked_add(data.len())? > bytes.len() {
        return None;
    }
    out.resize(to, 0);
    out.extend_from_slice(data);
    Some(to as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::facts;
    use crate::testelf::TestElf;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    #[test]
    fn drops_debug_and_keeps_the_rest() {
        let elf = TestElf::new().interp("/i").needed("liba.so").debug(1000);
        let before = elf.bytes();
        let after = strip(before.clone());
        assert!(after.len() < before.len() - 900, "{} of {}", after.len(), before.len());
        assert_eq!(facts(&after), facts(&before));
        assert!(!after.windows(16).any(|window| window == [0xdb; 16]));
    }

    #[test]
    fn leaves_what_is_unsafe_or_needless() {
        let check = |bytes: Vec<u8>| assert_eq!(strip(bytes.clone()), bytes);
        check(TestElf::new().needed("liba.so").bytes());
        check(b"#!/bin/sh\n".to_vec());
        check(Vec::new());
        let mut self_extracting = TestElf::new().debug(100).bytes();
        self_extracting.extend_from_slice(b"appended");
        check(self_extracting);
        let mut cut = TestElf::new().debug(100).bytes();
        cut.pop();
        check(cut);
    }

    #[test]
    fn this_test_binary_still_runs_without_its_debug_info() {
        let before = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let after = strip(before.clone());
        assert!(after.len() < before.len(), "a debug build has debug information");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stripped");
        std::fs::write(&path, &after).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let output = loop {
            match Command::new(&path).arg("--list").output() {
                // Another test thread forked while the file was open for writing; it lets go when it execs.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                other => break other.unwrap(),
            }
        };
        assert!(output.status.success());
        assert!(String::from_utf8(output.stdout).unwrap().contains("this_test_binary_still_runs"));
    }

    #[test]
    fn symbols_survive() {
        let before = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let after = strip(before.clone());
        let symbols = |bytes: &[u8]| {
            let elf = Elf::parse(bytes).unwrap();
            let names = elf.syms.iter().map(|sym| (elf.strtab.get_at(sym.st_name).unwrap().to_owned(), sym));
            names.collect::<Vec<_>>()
        };
        assert!(symbols(&before).len() > 100);
        assert!(symbols(&before) == symbols(&after));
    }
}
