//! What a vmlinux says about itself: its release, and its configuration where that is built in.

use super::elf::{Elf, Error};
use std::io::Read;

/// The release in the banner `Linux version RELEASE (…)`, as `uname -r` says it. Source: init/version.c.
pub(crate) fn release(elf: &Elf<'_>) -> Result<Option<String>, Error> {
    let Some(constants) = elf.section(".rodata")? else { return Ok(None) };
    let banner = b"Linux version ";
    // The same words are in format strings; a release starts with a digit.
    let found = memchr::memmem::find_iter(&constants, banner).find_map(|at| {
        let text = constants[at + banner.len()..].split(|byte| *byte == b' ').next()?;
        let fits = text.len() < 65 && text.iter().all(u8::is_ascii_graphic) && text.first()?.is_ascii_digit();
        fits.then(|| String::from_utf8_lossy(text).into_owned())
    });
    Ok(found)
}

/// The configuration that `CONFIG_IKCONFIG` embeds. Source: kernel/configs.c.
pub(crate) fn embedded_config(elf: &Elf<'_>) -> Result<Option<String>, Error> {
    let Some(constants) = elf.section(".rodata")? else { return Ok(None) };
    let Some(start) = memchr::memmem::find(&constants, b"IKCFG_ST\x1f\x8b") else { return Ok(None) };
    let mut text = String::new();
    let limit = 16 << 20;
    let read = flate2::read::GzDecoder::new(&constants[start + 8..]).take(limit).read_to_string(&mut text);
    Ok(read.is_ok().then_some(text))
}

#[cfg(test)]
mod tests {
    use super::super::testelf;
    use super::*;
    use std::io::Write;

    #[test]
    fn reads_the_release_from_the_banner() {
        let file = testelf::build(&[(".rodata", b"Linux version %s\0Linux version 6.1.0-x (a@b) #1\0")]);
        assert_eq!(release(&Elf::parse(&file).unwrap()).unwrap().as_deref(), Some("6.1.0-x"));
        let none = testelf::build(&[(".rodata", b"Linux version %s\0")]);
        assert_eq!(release(&Elf::parse(&none).unwrap()).unwrap(), None);
    }

    #[test]
    fn reads_an_embedded_config() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"CONFIG_SMP=y\n").unwrap();
        let constants = [b"x IKCFG_ST".as_slice(), &gzip.finish().unwrap(), b"IKCFG_ED"].concat();
        let file = testelf::build(&[(".rodata", &constants)]);
        assert_eq!(embedded_config(&Elf::parse(&file).unwrap()).unwrap().as_deref(), Some("CONFIG_SMP=y\n"));
        assert_eq!(embedded_config(&Elf::parse(&testelf::kernel()).unwrap()).unwrap(), None);
    }
}
