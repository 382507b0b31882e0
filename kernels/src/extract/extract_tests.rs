//! Every compression, on a kernel packed by the same tools and flags that the kernel's own build uses.

use super::*;

/// `tests/data/kernel.elf` packed by `tests/data/make.sh`, each with the size appended as the kernel's build does.
const PACKED: [(&str, &[u8]); 7] = [
    ("gzip", include_bytes!("../../tests/data/kernel.gzip")),
    ("bzip2", include_bytes!("../../tests/data/kernel.bzip2")),
    ("xz", include_bytes!("../../tests/data/kernel.xz")),
    ("lzma", include_bytes!("../../tests/data/kernel.lzma")),
    ("lzo", include_bytes!("../../tests/data/kernel.lzo")),
    ("lz4", include_bytes!("../../tests/data/kernel.lz4")),
    ("zstd", include_bytes!("../../tests/data/kernel.zstd")),
];

fn message(image: Vec<u8>) -> String {
    let error = unpack(&image).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error} {source}")
}

#[test]
fn unpacks_every_compression() {
    let expected = testelf::kernel();
    for (method, packed) in PACKED {
        let unpacked = unpack(&bzimage::wrap(packed)).unwrap_or_else(|error| panic!("{method}: {error:?}"));
        assert!(unpacked.as_ref() == Some(&expected), "{method}");
    }
    assert!(unpack(&bzimage::wrap(&expected)).unwrap() == Some(expected), "uncompressed");
}

#[test]
fn an_elf_passes_through() {
    assert!(unpack(&testelf::kernel()).unwrap().is_none());
}

#[test]
fn the_release_is_known_in_either_form() {
    for image in [bzimage::wrap(PACKED[0].1), testelf::kernel()] {
        assert_eq!(image_release(&image).unwrap().as_deref(), Some("7.3.4-test"));
    }
    assert_eq!(image_release(&b"none".to_vec()).unwrap(), None);
}

#[test]
fn a_truncated_image_is_named_so() {
    let mut image = bzimage::wrap(PACKED[6].1);
    image.truncate(image.len() - 10);
    assert!(message(image.clone()).contains("cut short"), "{}", message(image));
}

#[test]
fn a_damaged_payload_is_an_error_for_every_compression() {
    for (method, packed) in PACKED {
        let half = bzimage::wrap(&packed[..packed.len() / 2]);
        assert!(unpack(&half).is_err(), "{method}");
    }
}

#[test]
fn a_payload_of_another_size_is_an_error() {
    for (method, packed) in PACKED {
        let mut packed = packed.to_vec();
        let at = packed.len() - 4;
        packed[at] ^= 1;
        assert!(unpack(&bzimage::wrap(&packed)).is_err(), "{method}");
    }
}

#[test]
fn other_files_are_refused_in_words() {
    assert!(message(b"#!/bin/sh".to_vec()).contains("neither an ELF vmlinux nor a bzImage"));
    assert!(message(Vec::new()).contains("neither"));
    assert!(message(bzimage::wrap(b"unknown stuff")).contains("unknown way"));
    let mut old = bzimage::wrap(b"x");
    old[0x206] = 7;
    assert!(message(old).contains("2.07"));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(which in 0usize..7, at: usize, value: u8, cut: usize) {
        let mut image = bzimage::wrap(PACKED[which].1);
        // The first kilobyte is mostly padding: aim at what is read.
        let at = 0x1f0 + at % (image.len() - 0x1f0);
        image[at] = value;
        image.truncate(image.len() - cut % 40);
        let _ = unpack(&image);
    }

    #[test]
    fn noise_never_panics(noise: Vec<u8>, which in 0usize..7) {
        let start = &PACKED[which].1[..12];
        let _ = unpack(&bzimage::wrap(&[start, &noise].concat()));
        let _ = unpack(&noise);
    }
}
