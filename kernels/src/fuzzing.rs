//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::answers::Answer;
use crate::apt::{packages, sources};
use crate::extract::elf::Elf;
use crate::extract::{decompress, embedded_config, image_release, release};
use crate::version::compare_debian;
use crate::{Kconfig, Meta, Spec, Symbols, Version, btf, deb, extract, kallsyms};
use std::io;

/// A kernel image, packed or not.
pub fn image(bytes: &[u8]) {
    let _ = image_release(&bytes.to_vec());
    let _ = extract(bytes.to_vec());
}

/// The compressed kernel of a bzImage.
pub fn payload(bytes: &[u8]) {
    let _ = decompress::decompress(bytes);
}

/// A kernel's ELF file.
pub fn vmlinux(bytes: &[u8]) {
    let bytes = bytes.to_vec();
    let Ok(elf) = Elf::parse(&bytes) else { return };
    let _ = release(&elf);
    let _ = embedded_config(&elf);
    let _ = btf::examine(&elf);
    let _ = kallsyms::read(&elf);
    let _ = elf.write_without_debug(&mut io::sink());
}

/// `.BTF` and `.BTF_ids`.
pub fn types(section: &[u8], ids: &[u8]) {
    let _ = btf::judge(section, ids);
}

/// `.rodata` with the kernel's symbols.
pub fn constants(bytes: &[u8], place: u64) {
    if let Ok(Some(table)) = kallsyms::find(bytes, place) {
        assert_eq!(table.by_name().len(), table.len());
    }
}

/// The archive in a package.
pub fn archive(bytes: &[u8]) {
    let _ = deb::look_through(bytes, |_, _, contents| io::copy(contents, &mut io::sink()).map(|_| true));
}

/// What apt and its configuration say.
pub fn packages(text: &str) {
    let mut found = packages::parse(text);
    found.sort_by(packages::by_version);
    let entries: Vec<_> = sources::parse_deb822(text).into_iter().chain(sources::parse_lines(text)).collect();
    let _ = sources::rewrite(&entries).map(|text| sources::suites_of(&text));
}

/// What a person writes.
pub fn spec(text: &str) {
    if let Ok(spec) = text.parse::<Spec>() {
        assert_eq!(spec.to_string().parse::<Spec>().as_ref(), Ok(&spec));
    }
    let _ = Version::leading(text).map(|version| version.covers(&version));
    let (a, b) = text.split_once(' ').unwrap_or((text, ""));
    assert_eq!(compare_debian(a, b), compare_debian(b, a).reverse());
}

/// A kernel's configuration.
pub fn config(text: &str) {
    let config = Kconfig::parse(text);
    assert!(config.iter().all(|(name, value)| config.value(name) == Some(value)));
}

/// Files of the cache.
pub fn cached(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Answer>(bytes).map(|answer| answer.holds());
    let _ = serde_json::from_slice::<Meta>(bytes).map(|meta| meta.is_sound());
    if let Ok(text) = String::from_utf8(bytes.to_vec()) {
        let symbols = Symbols::of(text);
        let _ = symbols.iter().filter(|symbol| symbols.address(symbol.name).is_some()).count();
    }
}
