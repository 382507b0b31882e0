//! Tests of kallsyms on tables made as `scripts/kallsyms.c` makes them.

use super::*;
use crate::extract::testelf;
use proptest::prelude::*;

/// The forms that exist, by alignment of the tables and meaning of the offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// 6.15 and 6.16.
    Base,
    /// Up to 6.14.
    BaseOrAbsolute,
    /// 7.0 on: aligned to 4.
    Place,
}

const FORMS: [Form; 3] = [Form::Base, Form::BaseOrAbsolute, Form::Place];

impl Form {
    fn align(self) -> usize {
        if self == Form::Place { 4 } else { 8 }
    }
}

/// Where the file's first byte is when it runs.
const IMAGE: u64 = 0xffff_ffff_8100_0000;
/// Where `.text` starts: an address for `_stext`.
const TEXT: u64 = IMAGE + 128;

/// Enough symbols for several markers; the first is absolute where that exists.
fn symbols(form: Form, extra: usize) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    if form == Form::BaseOrAbsolute {
        all.push((0x1f00, "Arunqueues".to_owned()));
    }
    all.push((TEXT, "T_stext".to_owned()));
    all.extend((0..700 + extra as u64).map(|at| (TEXT + 64 * at, format!("tsym_{at}"))));
    all.push((TEXT + 0x40_0000, format!("D{}", "long_".repeat(40))));
    all
}

/// Tokens: a character stands for itself, two others for pieces of names, the rest for pieces that do not occur.
fn token(value: usize) -> Vec<u8> {
    match u8::try_from(value).unwrap_or(0) {
        1 => b"tsym_".to_vec(),
        200 => b"long_long_".to_vec(),
        value if value.is_ascii_graphic() => vec![value],
        value => format!("unused{value}").into_bytes(),
    }
}

fn compress(name: &str) -> Vec<u8> {
    name.replace("tsym_", "\u{1}")
        .replace("long_long_", "\u{2}")
        .bytes()
        .map(|b| if b == 2 { 200 } else { b })
        .collect()
}

/// The contents of `.rodata`, which starts at `place`.
fn tables(form: Form, symbols: &[(u64, String)], place: u64) -> Vec<u8> {
    let mut out = b"Linux version 1.2.3\0 some constants before 0\x001\x002\0".to_vec();
    let align = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(form.align()), 0);
    align(&mut out);
    out.extend((symbols.len() as u32).to_le_bytes());
    align(&mut out);
    let names = out.len();
    let mut markers = Vec::new();
    for (number, (_, name)) in symbols.iter().enumerate() {
        if number % 256 == 0 {
            markers.push((out.len() - names) as u32);
        }
        let tokens = compress(name);
        match tokens.len() {
            short @ ..0x80 => out.push(short as u8),
            long => out.extend([long as u8 & 0x7f | 0x80, (long >> 7) as u8]),
        }
        out.extend(tokens);
    }
    align(&mut out);
    out.extend(markers.iter().flat_map(|marker| marker.to_le_bytes()));
    align(&mut out);
    let start = out.len();
    let mut index = Vec::new();
    for value in 0..256 {
        index.extend(((out.len() - start) as u16).to_le_bytes());
        out.extend(token(value));
        out.push(0);
    }
    align(&mut out);
    out.extend(index);
    align(&mut out);
    let base = IMAGE;
    for (address, _) in symbols {
        let word = match form {
            Form::Base => (address - base) as u32,
            Form::BaseOrAbsolute if *address < base => *address as u32,
            Form::BaseOrAbsolute => (base.wrapping_sub(1)).wrapping_sub(*address) as u32,
            Form::Place => address.wrapping_sub(place + out.len() as u64) as u32,
        };
        out.extend(word.to_le_bytes());
    }
    if form != Form::Place {
        align(&mut out);
        out.extend(base.to_le_bytes());
    }
    out.extend(b"\x01\x02\x03 what follows");
    out
}

fn kernel(form: Form, symbols: &[(u64, String)]) -> Vec<u8> {
    let text = vec![0xcc; 4096];
    // The section's place does not depend on its contents.
    let empty = testelf::build_at(Some(IMAGE), &[(".text", &text), (".rodata", b"x")]);
    let place = section(&Elf::parse(&empty).unwrap(), ".rodata").unwrap().address;
    testelf::build_at(Some(IMAGE), &[(".text", &text), (".rodata", &tables(form, symbols, place))])
}

fn listed(table: &Table) -> Vec<(u64, String)> {
    let mut all: Vec<_> =
        table.by_name().into_iter().map(|(name, address, kind)| (address, format!("{kind}{name}"))).collect();
    all.sort();
    all
}

#[test]
fn reads_every_form() {
    for (form, extra) in FORMS.into_iter().flat_map(|form| [0, 1, 66, 67, 68].map(|extra| (form, extra))) {
        let mut expected = symbols(form, extra);
        let file = kernel(form, &expected);
        let table = read(&Elf::parse(&file).unwrap()).unwrap().unwrap();
        expected.sort();
        assert_eq!(listed(&table), expected, "{form:?} {extra}");
        assert_eq!(table.len(), expected.len());
    }
}

#[test]
fn a_kernel_without_the_tables_has_no_symbols() {
    assert!(read(&Elf::parse(&testelf::kernel()).unwrap()).unwrap().is_none());
    let no_constants = testelf::build_at(Some(IMAGE), &[(".text", b"x")]);
    assert!(read(&Elf::parse(&no_constants).unwrap()).unwrap().is_none());
}

#[test]
fn symbols_that_contradict_the_sections_are_refused() {
    let mut moved = symbols(Form::Base, 0);
    moved.iter_mut().for_each(|(address, _)| *address += 0x100_0000);
    let file = kernel(Form::Base, &moved);
    let error = read(&Elf::parse(&file).unwrap()).unwrap_err().to_string();
    assert!(error.contains("_stext is not in .text"), "{error}");
}

#[test]
fn tables_cut_short_are_refused() {
    let file = kernel(Form::Place, &symbols(Form::Place, 0));
    let elf = Elf::parse(&file).unwrap();
    let constants = elf.section(".rodata").unwrap().unwrap();
    let cut =
        testelf::build_at(Some(IMAGE), &[(".text", &[0; 4096]), (".rodata", &constants[..constants.len() - 1000])]);
    let error = read(&Elf::parse(&cut).unwrap()).unwrap_err().to_string();
    assert!(error.contains("do not ascend"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn hostile_tables_never_panic(
        form in prop::sample::select(FORMS.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let text = [0xcc; 4096];
        let mut constants = tables(form, &symbols(form, 0), IMAGE);
        for (at, value) in changes {
            let at = at.index(constants.len());
            constants[at] = value;
        }
        for end in [constants.len(), cut.index(constants.len())] {
            let file = testelf::build_at(Some(IMAGE), &[(".text", &text), (".rodata", &constants[..end])]);
            if let Ok(Some(table)) = read(&Elf::parse(&file).unwrap()) {
                prop_assert!(table.len() <= constants.len());
            }
        }
    }
}
