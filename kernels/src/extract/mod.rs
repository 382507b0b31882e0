//! From a kernel image in any form to the ELF file inside it.

pub(crate) mod bzimage;
pub(crate) mod decompress;
pub(crate) mod elf;
mod facts;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod testelf;

pub(crate) use facts::{embedded_config, release};

use source::Bytes;
use std::io;

/// Why no kernel could be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the kernel image")]
    Io(#[from] io::Error),
    /// Neither ELF nor bzImage.
    #[error("this is neither an ELF vmlinux nor a bzImage (it starts with {start:02x?}): give a kernel file")]
    Unknown {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// The boot sector's numbers do not fit the file.
    #[error(transparent)]
    BzImage(#[from] bzimage::Error),
    /// The compressed kernel inside the bzImage.
    #[error(transparent)]
    Decompress(#[from] decompress::Error),
    /// The ELF file, as given or as found inside.
    #[error(transparent)]
    Elf(#[from] elf::Error),
}

/// The vmlinux inside a bzImage, decompressed and checked to be whole; `None` when `image` is an ELF file itself.
pub(crate) fn unpack(image: &dyn Bytes) -> Result<Option<Vec<u8>>, Error> {
    let start = image.range(0, image.size()?.min(0x400))?;
    if elf::is_elf(&start) {
        return Ok(None);
    }
    if !bzimage::is_bzimage(&start) {
        return Err(Error::Unknown { start: start[..start.len().min(8)].to_vec() });
    }
    let (offset, length) = bzimage::payload(&start, image.size()?)?;
    let payload = image.range(offset, length)?;
    let mut vmlinux = if elf::is_elf(&payload) { payload } else { decompress::decompress(&payload)? };
    let size = elf::Elf::parse(&vmlinux)?.size;
    // KASLR's relocations follow the ELF file; nothing that boots the ELF directly reads them.
    vmlinux.truncate(usize::try_from(size).unwrap_or(vmlinux.len()));
    Ok(Some(vmlinux))
}

/// The ELF vmlinux in a kernel image: unpacked from a bzImage of any compression, or the bytes themselves.
///
/// # Errors
/// [`Error`] for what is neither, or is damaged.
pub fn extract(image: Vec<u8>) -> Result<Vec<u8>, Error> {
    match unpack(&image)? {
        Some(vmlinux) => Ok(vmlinux),
        None => elf::Elf::parse(&image).map(drop).map(|()| image).map_err(Error::from),
    }
}

/// The release of a kernel in any form, without unpacking it: a bzImage's header has it in plain text.
pub(crate) fn image_release(image: &dyn Bytes) -> Result<Option<String>, Error> {
    let start = image.range(0, image.size()?.min(0x10000))?;
    match elf::is_elf(&start) {
        true => Ok(facts::release(&elf::Elf::parse(image)?)?),
        false => Ok(bzimage::release(&start)),
    }
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
