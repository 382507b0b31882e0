//! Tests of the walk over a section: every kind, sections cut short, claims that do not hold, noise.

use super::builder::{Builder, bytes};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Adds a type of some kind with as much behind it as the format says.
fn add(btf: &mut Builder, kind: u8, elements: u32, name: &str) -> u32 {
    let (once, each) = EXTRA[usize::from(kind)];
    let extra = vec![0xa5; usize::from(once) + usize::from(each) * elements as usize];
    btf.raw(name, kind, elements, 7, &extra)
}

/// One type of every kind, each with a name and a few elements.
fn every_kind() -> Builder {
    let mut btf = Builder::default();
    (1..=19).for_each(|kind| _ = add(&mut btf, kind, 3, &format!("kind_{kind}")));
    btf
}

/// Asks everything there is to ask.
fn exhaust(section: &[u8]) {
    let Ok(types) = Types::parse(section) else { return };
    for id in (0..types.count().saturating_add(2)).chain([u32::MAX]) {
        let Some(found) = types.get(id) else { continue };
        let named = types.name(&found).is_ok_and(|name| types.is_named(&found, name));
        assert!(named || types.name(&found).is_err());
        let _ = found.last_parameter();
    }
}

fn error(section: &[u8]) -> String {
    Types::parse(section).err().expect("the section is damaged").to_string()
}

#[test]
fn every_kind_is_stepped_over() {
    let section = every_kind().section();
    let types = Types::parse(&section).unwrap();
    assert_eq!(types.count(), 19);
    for id in 1..=19 {
        let found = types.get(id).unwrap();
        assert_eq!((u32::from(found.kind), found.target), (id, 7));
        assert_eq!(types.name(&found).unwrap(), format!("kind_{id}"));
        assert!(types.is_named(&found, &format!("kind_{id}")));
        assert!(!types.is_named(&found, "kind_") && !types.is_named(&found, "ind_1"));
    }
    assert!(types.get(0).is_none() && types.get(20).is_none());
}

#[test]
fn the_last_parameter_is_found() {
    let mut btf = Builder::default();
    let none = btf.add("", FUNC_PROTO, 0, &[]);
    let two = btf.add("", FUNC_PROTO, 0, &[("a", 11), ("b", 12)]);
    let section = btf.section();
    let types = Types::parse(&section).unwrap();
    assert_eq!(types.get(none).unwrap().last_parameter(), None);
    assert_eq!(types.get(two).unwrap().last_parameter(), Some(12));
}

#[test]
fn a_kind_of_the_future_is_known_by_the_layout() {
    let mut btf = every_kind();
    btf.raw("new", 21, 2, 0, &[1; 4 + 2 * 16]);
    btf.raw("after", STRUCT, 0, 0, &[]);
    assert!(error(&btf.section()).contains("type 20 is of kind 21"));
    btf.layout = Some(vec![(0, 0); 21]);
    assert!(error(&btf.section()).contains("type 20 is of kind 21"));
    btf.layout.as_mut().unwrap().push((4, 16));
    let section = btf.section();
    let types = Types::parse(&section).unwrap();
    assert_eq!(types.name(&types.get(21).unwrap()).unwrap(), "after");
}

#[test]
fn a_type_may_have_more_elements_than_16_bits_count() {
    let mut btf = Builder::default();
    add(&mut btf, 19, 0x1_0001, "large");
    add(&mut btf, STRUCT, 0, "after");
    let section = btf.section();
    let types = Types::parse(&section).unwrap();
    assert_eq!(types.name(&types.get(2).unwrap()).unwrap(), "after");
}

#[test]
fn a_section_cut_anywhere_is_an_error() {
    let section = every_kind().section();
    for length in 0..section.len() {
        assert!(Types::parse(&section[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn claims_beyond_the_section_are_refused() {
    for field in [4, 8, 12, 16, 20] {
        let mut section = every_kind().section();
        section[field..field + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        let text = error(&section);
        assert!(text.contains("ends at byte"), "field {field}: {text}");
    }
    let mut section = every_kind().section();
    section[4] = 20;
    assert!(error(&section).contains("header ends at byte 24 of 20"), "{}", error(&section));
}

#[test]
fn other_formats_are_refused_in_words() {
    for start in [b"\xeb\x9f\x01\x00", b"\x9f\xeb\x02\x00", b"\x9f\xeb\x01\x01", b"\x7fELF"] {
        let section = [start, &every_kind().section()[4..]].concat();
        assert!(error(&section).contains("where little-endian BTF"), "{start:x?}");
    }
    assert!(error(b"").contains("starts with []"));
}

#[test]
fn strings_without_an_end_are_refused() {
    for at in [24, 24 + every_kind_strings() - 1] {
        let mut section = every_kind().section();
        section[at] = b'x';
        assert!(error(&section).contains("zero byte"), "byte {at}");
    }
}

fn every_kind_strings() -> usize {
    word(&every_kind().section(), 20).unwrap() as usize
}

#[test]
fn names_that_are_none_are_refused() {
    let mut btf = Builder::default();
    let names = ["", "two words", "\x1b[2J", "größe", &"x".repeat(MAX_NAME), "good"];
    names.iter().for_each(|name| _ = btf.raw(name, FUNC, 0, 0, &[]));
    let section = btf.section();
    let types = Types::parse(&section).unwrap();
    let good: Vec<bool> = (1..=6).map(|id| types.name(&types.get(id).unwrap()).is_ok()).collect();
    assert_eq!(good, [false, false, false, false, false, true]);
    let outside = Type { name_offset: u32::MAX, ..types.get(6).unwrap() };
    assert!(types.name(&outside).is_err() && !types.is_named(&outside, "good"));
}

#[test]
fn every_name_is_inside_the_strings() {
    let mut section = every_kind().section();
    let strings = every_kind_strings();
    // The first type's name: the last string's end is still inside, the byte behind is not.
    section[24 + strings..][..4].copy_from_slice(&(strings as u32 - 1).to_le_bytes());
    assert!(Types::parse(&section).is_ok());
    section[24 + strings..][..4].copy_from_slice(&(strings as u32).to_le_bytes());
    assert!(error(&section).contains("type 1, at byte"), "{}", error(&section));
}

#[test]
fn more_types_than_there_can_be_are_refused() {
    let records = bytes(&[0, u32::from(FUNC) << 24, 0]).repeat(MAX_TYPES);
    assert_eq!(starts(&records, &[], 1).unwrap().len(), MAX_TYPES);
    let one_more = [records, bytes(&[0, u32::from(FUNC) << 24, 0])].concat();
    assert!(matches!(starts(&one_more, &[], 1), Err(Error::TooMany)));
}

proptest! {
    #[test]
    fn what_was_written_is_read(written in vec((1u8..20, 0u32..9, "[a-z_]{1,12}"), 1..40)) {
        let mut btf = Builder::default();
        let ids: Vec<u32> = written.iter().map(|(kind, elements, name)| add(&mut btf, *kind, *elements, name)).collect();
        let section = btf.section();
        let types = Types::parse(&section).unwrap();
        prop_assert_eq!(types.count() as usize, written.len());
        for (id, (kind, _, name)) in ids.iter().zip(&written) {
            let found = types.get(*id).unwrap();
            prop_assert_eq!(found.kind, *kind);
            prop_assert_eq!(types.name(&found).unwrap(), name);
        }
    }

    #[test]
    fn damage_never_panics(damage in vec((any::<usize>(), any::<u8>()), 1..6), cut in 0usize..60) {
        let mut btf = every_kind();
        btf.layout = Some(EXTRA.to_vec());
        let mut section = btf.section();
        for (at, value) in damage {
            let at = at % section.len();
            section[at] = value;
        }
        section.truncate(section.len() - cut % 50);
        exhaust(&section);
    }

    #[test]
    fn noise_never_panics(fields in vec(0u32..200, 7), noise in vec(any::<u8>(), 0..200)) {
        exhaust(&noise);
        exhaust(&[&[0x9f, 0xeb, 1, 0], &*bytes(&fields), &noise].concat());
        // Past the header's checks: whatever the noise is, it is the types.
        let header = bytes(&[24, 1, noise.len() as u32, 0, 1]);
        exhaust(&[&[0x9f, 0xeb, 1, 0], &*header, &[0], &noise].concat());
    }
}
