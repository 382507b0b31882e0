//! Tests of the ELF reader and of stripping.

use super::super::testelf;
use super::*;

fn stripped(file: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let size = Elf::parse(&file).unwrap().write_without_debug(&mut out).unwrap();
    assert_eq!(size, out.len() as u64);
    out
}

#[test]
fn finds_sections_and_the_end_of_the_file() {
    let mut file = testelf::build(&[(".text", b"code"), (".BTF", b"types")]);
    let size = file.len() as u64;
    file.extend_from_slice(b"relocations that follow");
    let elf = Elf::parse(&file).unwrap();
    assert_eq!(elf.size, size);
    assert_eq!(elf.section(".BTF").unwrap().unwrap(), b"types");
    assert_eq!(elf.section(".none").unwrap(), None);
}

#[test]
fn strips_debug_sections_and_nothing_else() {
    let debug = vec![7; 100_000];
    let file = testelf::build(&[
        (".text", b"code"),
        (".BTF", b"types"),
        (".debug_info", &debug),
        (".symtab", b"symbols"),
        (".debug_line", &debug),
    ]);
    let out = stripped(file.clone());
    assert!(out.len() < 2000, "{} bytes", out.len());
    let elf = Elf::parse(&out).unwrap();
    for (name, contents) in [(".text", b"code".as_slice()), (".BTF", b"types"), (".symtab", b"symbols")] {
        assert_eq!(elf.section(name).unwrap().unwrap(), contents, "{name}");
    }
    assert_eq!(elf.section(".debug_info").unwrap(), None);
    let index = |file: Vec<u8>| Elf::parse(&file).unwrap().sections.iter().position(|s| s.name == ".symtab");
    assert_eq!(index(file), index(out.clone()), "section numbers move under the symbols");
}

#[test]
fn stripping_twice_changes_nothing() {
    let once = stripped(testelf::build(&[(".text", b"code"), (".comment", b"x"), (".debug_str", b"strings")]));
    assert_eq!(stripped(once.clone()), once);
}

#[test]
fn says_what_is_wrong() {
    let check = |file: Vec<u8>, expected: &str| {
        let message = Elf::parse(&file).err().unwrap().to_string();
        assert!(message.contains(expected), "{message}");
    };
    let good = testelf::kernel();
    check(vec![0; 200], "does not start as an ELF");
    check(good[..30].to_vec(), "its header ends at byte 64, the file at 30");
    check(good[..good.len() - 1].to_vec(), "section header table");
    let changed = |at: usize, value: u8| {
        let mut file = good.clone();
        file[at] = value;
        file
    };
    check(changed(4, 1), "64-bit");
    check(changed(18, 40), "another machine");
    check(changed(16, 1), "an object");
    check(changed(56, 0), "no program headers");
    check(changed(64, 6), "no segment to load");
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..5000, value: u8, cut in 0usize..6000) {
        let mut file = testelf::build(&[(".text", &[1; 4000]), (".debug_info", b"x"), (".symtab", b"y")]);
        let at = at % file.len();
        file[at] = value;
        file.truncate(cut.max(1));
        if let Ok(elf) = Elf::parse(&file) {
            let mut out = Vec::new();
            let _ = elf.write_without_debug(&mut out);
            let _ = elf.section(".text");
        }
    }
}
