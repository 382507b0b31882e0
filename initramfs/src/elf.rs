//! What the loader reads of an ELF file: class, machine, interpreter and the dynamic section's strings.

use goblin::container::{Container, Ctx};
use goblin::elf::dynamic::{
    DF_1_NODEFLIB, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB,
};
use goblin::elf::header::{ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PT_INTERP, PT_LOAD};
use goblin::elf::{Dynamic, Elf, ProgramHeader};

/// No string that the loader uses is longer than a path.
const STRING_CAP_BYTES: usize = 4096;
/// Far above any real program; bounds the work that a hostile file can ask for.
const NEEDED_CAP: usize = 4096;

/// What is alike in objects that one process can load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Abi {
    /// `e_machine`.
    pub(crate) machine: u16,
    /// ELFCLASS64.
    pub(crate) is_64: bool,
}

/// The loader's view of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) abi: Abi,
    /// PT_INTERP.
    pub(crate) interp: Option<String>,
    /// DT_NEEDED, in order.
    pub(crate) needed: Vec<String>,
    pub(crate) soname: Option<String>,
    /// DT_RPATH, already dropped when there is a DT_RUNPATH.
    pub(crate) rpath: Option<String>,
    pub(crate) runpath: Option<String>,
    /// DF_1_NODEFLIB: the default directories are not searched for what this object needs.
    pub(crate) nodeflib: bool,
}

/// Reads the facts of a program or shared library. The message of an error completes "cannot load it: ".
pub(crate) fn facts(bytes: &[u8]) -> Result<Facts, String> {
    if !bytes.starts_with(b"\x7fELF") {
        return Err("it is not an ELF file".to_owned());
    }
    let broken = |error: goblin::error::Error| format!("its ELF headers are broken ({error})");
    let header = Elf::parse_header(bytes).map_err(broken)?;
    if !matches!(header.e_type, ET_EXEC | ET_DYN) {
        return Err(format!("its ELF type is {}, neither a program nor a shared library", header.e_type));
    }
    let container = header.container().map_err(broken)?;
    let ctx = Ctx::new(container, header.endianness().map_err(broken)?);
    let phoff = usize::try_from(header.e_phoff).map_err(|_| "its program headers are out of reach".to_owned())?;
    let phdrs = ProgramHeader::parse(bytes, phoff, header.e_phnum.into(), ctx).map_err(broken)?;
    let dynamic = Dynamic::parse(bytes, &phdrs, ctx).map_err(broken)?;
    let abi = Abi { machine: header.e_machine, is_64: matches!(container, Container::Big) };
    let mut facts = Facts {
        abi,
        interp: interp(bytes, &phdrs)?,
        needed: Vec::new(),
        soname: None,
        rpath: None,
        runpath: None,
        nodeflib: false,
    };
    if let Some(dynamic) = dynamic {
        read_dynamic(&mut facts, bytes, &phdrs, &dynamic)?;
    }
    Ok(facts)
}

fn interp(bytes: &[u8], phdrs: &[ProgramHeader]) -> Result<Option<String>, String> {
    let Some(phdr) = phdrs.iter().find(|phdr| phdr.p_type == PT_INTERP) else { return Ok(None) };
    let data = slice(bytes, phdr.p_offset, phdr.p_filesz).ok_or("its interpreter's name is outside of the file")?;
    string(data).map(Some)
}

fn read_dynamic(facts: &mut Facts, bytes: &[u8], phdrs: &[ProgramHeader], dynamic: &Dynamic) -> Result<(), String> {
    let value = |tag| dynamic.dyns.iter().find(|entry| entry.d_tag == tag).map(|entry| entry.d_val);
    facts.nodeflib = value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_NODEFLIB != 0);
    let strings = match (value(DT_STRTAB), value(DT_STRSZ)) {
        (Some(address), Some(size)) => file_offset(phdrs, address).and_then(|offset| slice(bytes, offset, size)),
        _ => None,
    };
    let read = |offset: u64| {
        let table = strings.ok_or("its dynamic string table is outside of the file")?;
        let start = usize::try_from(offset).ok().and_then(|start| table.get(start..));
        string(start.ok_or("a name in its dynamic section is outside of the string table")?)
    };
    for entry in dynamic.dyns.iter().filter(|entry| entry.d_tag == DT_NEEDED) {
        if facts.needed.len() == NEEDED_CAP {
            return Err(format!("it needs more than {NEEDED_CAP} libraries"));
        }
        facts.needed.push(read(entry.d_val)?);
    }
    facts.soname = value(DT_SONAME).map(read).transpose()?;
    facts.runpath = value(DT_RUNPATH).map(read).transpose()?;
    // glibc, elf/get-dynamic-info.h: "If both RUNPATH and RPATH are given, the latter is ignored."
    facts.rpath = if facts.runpath.is_none() { value(DT_RPATH).map(read).transpose()? } else { None };
    Ok(())
}

fn file_offset(phdrs: &[ProgramHeader], address: u64) -> Option<u64> {
    phdrs
        .iter()
        .filter(|phdr| phdr.p_type == PT_LOAD)
        .find(|phdr| address.checked_sub(phdr.p_vaddr).is_some_and(|into| into < phdr.p_filesz))
        .and_then(|phdr| phdr.p_offset.checked_add(address - phdr.p_vaddr))
}

fn slice(bytes: &[u8], offset: u64, size: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
}

fn string(data: &[u8]) -> Result<String, String> {
    let window = &data[..data.len().min(STRING_CAP_BYTES)];
    let end = window.iter().position(|byte| *byte == 0).ok_or("a name in it has no end")?;
    let text = std::str::from_utf8(&window[..end]).map_err(|_| "a name in it is not UTF-8")?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testelf::TestElf;
    use proptest::prelude::*;

    #[test]
    fn reads_a_made_object() {
        let bytes = TestElf::new().interp("/lib64/ld.so").needed("liba.so.1").needed("libb.so").soname("me.so").bytes();
        let facts = facts(&bytes).unwrap();
        assert_eq!(facts.interp.as_deref(), Some("/lib64/ld.so"));
        assert_eq!(facts.needed, ["liba.so.1", "libb.so"]);
        assert_eq!(facts.soname.as_deref(), Some("me.so"));
        assert_eq!(facts.abi, Abi { machine: 62, is_64: true });
    }

    #[test]
    fn runpath_hides_rpath() {
        let only = facts(&TestElf::new().rpath("/r").bytes()).unwrap();
        assert_eq!((only.rpath.as_deref(), only.runpath), (Some("/r"), None));
        let both = facts(&TestElf::new().rpath("/r").runpath("/p").bytes()).unwrap();
        assert_eq!((both.rpath, both.runpath.as_deref()), (None, Some("/p")));
    }

    #[test]
    fn says_what_is_wrong() {
        let check = |bytes: &[u8], expected: &str| {
            let error = facts(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "not an ELF");
        check(b"hello", "not an ELF");
        check(b"\x7fELF\x02\x01", "headers are broken");
        let mut object = TestElf::new().bytes();
        object[16] = 1;
        check(&object, "neither a program");
        let mut text = TestElf::new().needed("libunending.so").bytes();
        text.truncate(text.len() - 1);
        check(&text, "outside of the file");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        /// The tables of a real program: those at its start, and the section headers at its end.
        #[test]
        fn a_damaged_program_never_panics(edits in prop::collection::vec((0..4096_usize, any::<bool>(), any::<u8>()), 1..6)) {
            static REAL: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
            let mut bytes = REAL.get_or_init(|| std::fs::read(std::env::current_exe().unwrap()).unwrap()).clone();
            for (at, from_end, value) in edits {
                let at = if from_end { bytes.len() - 1 - at } else { at };
                bytes[at] = value;
            }
            let _ = facts(&bytes);
            let before = bytes.len();
            prop_assert!(crate::strip::strip(bytes).len() <= before);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hostile_bytes_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
                                     cut in any::<prop::sample::Index>(), truncate in any::<bool>()) {
            let mut bytes = TestElf::new().interp("/i").needed("a").needed("b").runpath("/x").debug(64).bytes();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if truncate {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = facts(&bytes);
            let before = bytes.len();
            prop_assert!(crate::strip::strip(bytes).len() <= before);
        }
    }
}
