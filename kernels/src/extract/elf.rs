//! The ELF file of a kernel: its sections, and a copy of it without debug information.
//!
//! Source: System V ABI, gABI chapters 4 (object files) and 5 (program loading).

use super::source::Bytes;
use std::io::{self, Write};

/// Why something is no usable x86-64 kernel ELF.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes cannot be read.
    #[error("cannot read the ELF file")]
    Io(#[from] io::Error),
    /// Not an ELF64 little-endian x86-64 executable.
    #[error("this is not an x86-64 kernel: {0}")]
    NotAKernel(&'static str),
    /// A header points outside the file.
    #[error("the ELF file is cut short or damaged: its {what} ends at byte {end}, the file at {size}")]
    Truncated {
        /// What lies outside.
        what: &'static str,
        /// Where it would end.
        end: u64,
        /// The file's size in bytes.
        size: u64,
    },
}

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const SECTION_HEADER_SIZE: usize = 64;
const MACHINE_X86_64: u16 = 62;
const SECTION_NOBITS: u32 = 8;
const SEGMENT_LOAD: u32 = 1;

/// A section with contents in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    /// Where it is when the kernel runs; 0 for a section that is not loaded.
    pub(crate) address: u64,
    pub(crate) offset: u64,
    /// Bytes in the file: 0 for a section such as `.bss`.
    pub(crate) size: u64,
    align: u64,
}

impl Section {
    fn is_debug(&self) -> bool {
        [".debug_", ".zdebug_", ".rela.debug_", ".gdb_index"].iter().any(|prefix| self.name.starts_with(prefix))
    }
}

/// An ELF file that has been checked to be whole.
pub(crate) struct Elf<'a> {
    bytes: &'a dyn Bytes,
    header: Vec<u8>,
    section_headers: Vec<u8>,
    pub(crate) sections: Vec<Section>,
    /// Where the last loaded segment ends in the file.
    segments_end: u64,
    /// The size of the whole file by its headers; what follows in `bytes` is no part of it.
    pub(crate) size: u64,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |raw| u16::from_le_bytes([raw[0], raw[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Whether bytes start as an ELF file does.
pub(crate) fn is_elf(start: &[u8]) -> bool {
    start.starts_with(b"\x7fELF")
}

impl<'a> Elf<'a> {
    /// Reads the headers and checks that everything they speak of is in the file.
    pub(crate) fn parse(bytes: &'a dyn Bytes) -> Result<Self, Error> {
        let available = bytes.size()?;
        let header = read(bytes, available, "header", 0, HEADER_SIZE as u64)?;
        check_header(&header)?;
        let segments_end = segments_end(bytes, available, &header)?;
        let section_count = u64::from(u16_at(&header, 60));
        let section_headers = read(
            bytes,
            available,
            "section header table",
            u64_at(&header, 40),
            section_count * SECTION_HEADER_SIZE as u64,
        )?;
        let sections = sections(bytes, available, &section_headers, usize::from(u16_at(&header, 62)))?;
        let table_end = u64_at(&header, 40) + section_headers.len() as u64;
        let sections_end = sections.iter().map(|section| section.offset + section.size).max().unwrap_or(0);
        let size = segments_end.max(table_end).max(sections_end);
        Ok(Self { bytes, header, section_headers, sections, segments_end, size })
    }

    /// The contents of a section, if there is one of that name.
    pub(crate) fn section(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let found = self.sections.iter().find(|section| section.name == name && section.size > 0);
        found.map(|section| Ok(self.bytes.range(section.offset, section.size)?)).transpose()
    }

    /// Writes the file without DWARF: loaded contents stay where they are, the other sections close ranks. A removed
    /// section leaves an empty header, so that symbols keep their section numbers.
    pub(crate) fn write_without_debug(&self, out: &mut dyn Write) -> Result<u64, Error> {
        let mut headers = self.section_headers.clone();
        let mut end = self.segments_end.max(HEADER_SIZE as u64);
        let moved = self.place_unloaded(&mut headers, &mut end);
        let table_offset = end.next_multiple_of(8);
        let mut header = self.header.clone();
        header[40..48].copy_from_slice(&table_offset.to_le_bytes());
        out.write_all(&header)?;
        let loaded_end = self.segments_end.max(HEADER_SIZE as u64);
        self.copy(out, HEADER_SIZE as u64, loaded_end)?;
        let mut at = loaded_end;
        for (section, offset) in moved {
            pad(out, at, offset)?;
            self.copy(out, section.offset, section.offset + section.size)?;
            at = offset + section.size;
        }
        pad(out, at, table_offset)?;
        out.write_all(&headers)?;
        Ok(table_offset + headers.len() as u64)
    }

    /// Gives each kept section beyond the segments its new offset, and clears the headers of debug sections.
    fn place_unloaded(&self, headers: &mut [u8], end: &mut u64) -> Vec<(&Section, u64)> {
        let mut moved = Vec::new();
        for (section, header) in self.sections.iter().zip(headers.chunks_exact_mut(SECTION_HEADER_SIZE)) {
            if section.is_debug() {
                header.fill(0);
            } else if section.size > 0 && section.offset + section.size > self.segments_end {
                let offset = end.next_multiple_of(section.align.clamp(1, 4096));
                header[24..32].copy_from_slice(&offset.to_le_bytes());
                *end = offset + section.size;
                moved.push((section, offset));
            }
        }
        moved
    }

    fn copy(&self, out: &mut dyn Write, from: u64, to: u64) -> Result<(), Error> {
        const CHUNK: u64 = 1 << 20;
        let mut at = from;
        while at < to {
            let length = CHUNK.min(to - at);
            out.write_all(&self.bytes.range(at, length)?)?;
            at += length;
        }
        Ok(())
    }
}

fn pad(out: &mut dyn Write, from: u64, to: u64) -> Result<(), Error> {
    // Gaps are alignment only, below one page.
    let gap = usize::try_from(to.saturating_sub(from)).unwrap_or(0);
    Ok(out.write_all(&vec![0; gap])?)
}

fn read(bytes: &dyn Bytes, size: u64, what: &'static str, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    inside(size, what, offset, length)?;
    Ok(bytes.range(offset, length)?)
}

fn inside(size: u64, what: &'static str, offset: u64, length: u64) -> Result<u64, Error> {
    let end = offset.saturating_add(length);
    if end > size { Err(Error::Truncated { what, end, size }) } else { Ok(end) }
}

fn check_header(header: &[u8]) -> Result<(), Error> {
    let wrong = match () {
        () if !is_elf(header) => "it does not start as an ELF file",
        () if header[4] != 2 || header[5] != 1 => "the ELF file is not 64-bit little-endian",
        () if u16_at(header, 18) != MACHINE_X86_64 => "the ELF file is for another machine",
        () if !matches!(u16_at(header, 16), 2 | 3) => "the ELF file is an object, not an executable",
        () if usize::from(u16_at(header, 54)) != PROGRAM_HEADER_SIZE || u16_at(header, 56) == 0 => {
            "the ELF file has no program headers"
        }
        () if u16_at(header, 60) != 0 && usize::from(u16_at(header, 58)) != SECTION_HEADER_SIZE => {
            "the ELF file's section headers have an unknown size"
        }
        () => return Ok(()),
    };
    Err(Error::NotAKernel(wrong))
}

fn segments_end(bytes: &dyn Bytes, size: u64, header: &[u8]) -> Result<u64, Error> {
    let table_offset = u64_at(header, 32);
    let table_length = u64::from(u16_at(header, 56)) * PROGRAM_HEADER_SIZE as u64;
    let table = read(bytes, size, "program header table", table_offset, table_length)?;
    let mut end = table_offset + table_length;
    let mut loads = false;
    for segment in table.chunks_exact(PROGRAM_HEADER_SIZE) {
        end = end.max(inside(size, "program segment", u64_at(segment, 8), u64_at(segment, 32))?);
        loads |= u32_at(segment, 0) == SEGMENT_LOAD;
    }
    if loads { Ok(end) } else { Err(Error::NotAKernel("the ELF file has no segment to load")) }
}

fn sections(bytes: &dyn Bytes, size: u64, headers: &[u8], names_at: usize) -> Result<Vec<Section>, Error> {
    let all: Vec<&[u8]> = headers.chunks_exact(SECTION_HEADER_SIZE).collect();
    let names = match all.get(names_at) {
        Some(header) => read(bytes, size, "section name table", u64_at(header, 24), u64_at(header, 32))?,
        None => Vec::new(),
    };
    all.iter()
        .map(|header| {
            let has_contents = !matches!(u32_at(header, 4), 0 | SECTION_NOBITS);
            let (offset, length) = if has_contents { (u64_at(header, 24), u64_at(header, 32)) } else { (0, 0) };
            inside(size, "section", offset, length)?;
            let name = names.get(u32_at(header, 0) as usize..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            Ok(Section { name, address: u64_at(header, 16), offset, size: length, align: u64_at(header, 48) })
        })
        .collect()
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
