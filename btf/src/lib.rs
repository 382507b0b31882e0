//! The types in a `.BTF` section: as much of each as is asked for here.
//!
//! One walk finds where each type starts, and checks that all of it lies inside; afterwards a look-up costs the same for
//! every id. Nothing is copied, and a type takes four bytes of memory. Source: Documentation/bpf/btf.rst,
//! include/uapi/linux/btf.h.

pub mod builder;
mod layout;

pub use layout::Variable;

use std::ops::Range;

/// Why the section cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The first bytes are not those of little-endian BTF, version 1.
    #[error("it starts with {start:02x?}, where little-endian BTF of version 1 starts with [9f, eb, 01, 00]")]
    Header {
        /// The first bytes.
        start: Vec<u8>,
    },
    /// Something ends behind what holds it.
    #[error("its {what} ends at byte {end} of {size}")]
    Outside {
        /// What lies outside.
        what: &'static str,
        /// Where it would end, in bytes.
        end: u64,
        /// How many bytes there are.
        size: u64,
    },
    /// The strings do not start and end with a NUL.
    #[error("its strings do not start and end with a zero byte")]
    Strings,
    /// A kind of type whose size is not known.
    #[error("its type {id} is of kind {kind}, which is unknown here and which it does not describe")]
    Kind {
        /// The type.
        id: u32,
        /// Its `BTF_KIND_*`.
        kind: u8,
    },
    /// A type's name is outside the strings, or is none that C allows.
    #[error("the name of its type {id}, at byte {offset} of the strings, is no name")]
    Name {
        /// The type.
        id: u32,
        /// Where its name would start.
        offset: u32,
    },
    /// More types than the format can number.
    #[error("it has more than {MAX_TYPES} types")]
    TooMany,
}

/// `BTF_KIND_PTR`.
pub const PTR: u8 = 2;
/// `BTF_KIND_STRUCT`.
pub const STRUCT: u8 = 4;
/// `BTF_KIND_FWD`.
pub const FWD: u8 = 7;
/// `BTF_KIND_CONST`.
pub const CONST: u8 = 10;
/// `BTF_KIND_FUNC`.
pub const FUNC: u8 = 12;
/// `BTF_KIND_FUNC_PROTO`.
pub const FUNC_PROTO: u8 = 13;
/// `BTF_KIND_VAR`.
pub const VAR: u8 = 14;
/// `BTF_KIND_DATASEC`.
pub const DATASEC: u8 = 15;

/// What follows the 12 bytes that every type has, by kind: bytes once, bytes for each of its elements. Kind 0 is no kind.
const EXTRA: [(u8, u8); 20] = [
    (0, 0),
    (4, 0),  // INT
    (0, 0),  // PTR
    (12, 0), // ARRAY
    (0, 12), // STRUCT
    (0, 12), // UNION
    (0, 8),  // ENUM
    (0, 0),  // FWD
    (0, 0),  // TYPEDEF
    (0, 0),  // VOLATILE
    (0, 0),  // CONST
    (0, 0),  // RESTRICT
    (0, 0),  // FUNC: its number of elements is its linkage
    (0, 8),  // FUNC_PROTO
    (4, 0),  // VAR
    (0, 12), // DATASEC
    (0, 0),  // FLOAT
    (4, 0),  // DECL_TAG
    (0, 0),  // TYPE_TAG
    (0, 12), // ENUM64
];
/// `BTF_MAX_TYPE`.
const MAX_TYPES: usize = 0xf_ffff;
/// `KSYM_NAME_LEN` of include/linux/kallsyms.h, which the kernel's own check holds names to.
const MAX_NAME: usize = 512;

/// The types of one section, by id.
pub struct Types<'a> {
    records: &'a [u8],
    strings: &'a [u8],
    /// Where in `records` each type starts; the first has id 1.
    starts: Vec<u32>,
}

/// A type, as far as all kinds are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type<'a> {
    /// Its place in the section, from 1.
    pub id: u32,
    /// `BTF_KIND_*`.
    pub kind: u8,
    name_offset: u32,
    /// The type that this one refers to; a size in bytes for kinds that have one.
    pub target: u32,
    elements: &'a [u8],
}

impl Type<'_> {
    /// The id of the type of a prototype's last parameter. Not for other kinds.
    pub fn last_parameter(&self) -> Option<u32> {
        self.elements.last_chunk().map(|id| u32::from_le_bytes(*id))
    }
}

impl<'a> Types<'a> {
    /// Finds the types in the bytes of a `.BTF` section.
    ///
    /// # Errors
    /// When it is damaged, big-endian, or of a format that is not known here.
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        if !section.starts_with(b"\x9f\xeb\x01\x00") {
            return Err(Error::Header { start: section[..section.len().min(4)].to_vec() });
        }
        let header_size = word(section, 4).unwrap_or_default();
        let header = slice(section, "header", 0, header_size)?;
        let records = part(section, header, "type section", 8)?;
        let strings = part(section, header, "string section", 16)?;
        if strings.first() != Some(&0) || strings.last() != Some(&0) {
            return Err(Error::Strings);
        }
        // The header ends before these two on kernels older than 7.1.
        let layout = if header.len() < 32 { &[] } else { part(section, header, "layout section", 24)? };
        let starts = starts(records, layout, strings.len())?;
        Ok(Self { records, strings, starts })
    }

    /// How many types there are; ids start at 1.
    pub fn count(&self) -> u32 {
        // No more than `MAX_TYPES`.
        self.starts.len() as u32
    }

    /// The type with an id; `None` for 0, which is void, and for an id that no type has.
    pub fn get(&self, id: u32) -> Option<Type<'a>> {
        let at = (id as usize).checked_sub(1)?;
        let start = *self.starts.get(at)? as usize;
        let end = self.starts.get(at + 1).map_or(self.records.len(), |next| *next as usize);
        let record = self.records.get(start..end)?;
        let (kind, _) = kind_and_elements(word(record, 4)?);
        let (name_offset, target, elements) = (word(record, 0)?, word(record, 8)?, record.get(12..)?);
        Some(Type { id, kind, name_offset, target, elements })
    }

    /// Whether a type has this name. Compares no more bytes than the name has.
    pub fn is_named(&self, found: &Type<'_>, name: &str) -> bool {
        self.is_string(found.name_offset, name)
    }

    fn is_string(&self, offset: u32, name: &str) -> bool {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    /// A type's name.
    ///
    /// # Errors
    /// When it has none, or one that C does not allow.
    pub fn name(&self, found: &Type<'_>) -> Result<&'a str, Error> {
        let wrong = || Error::Name { id: found.id, offset: found.name_offset };
        let rest = self.strings.get(found.name_offset as usize..).ok_or_else(wrong)?;
        let length = rest.iter().take(MAX_NAME).position(|byte| *byte == 0).ok_or_else(wrong)?;
        let name = str::from_utf8(&rest[..length]).map_err(|_| wrong())?;
        let allowed = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        if allowed { Ok(name) } else { Err(wrong()) }
    }

    /// The first type of a kind that has this name.
    pub fn find(&self, kind: u8, name: &str) -> Option<Type<'a>> {
        let mut all = (1..=self.count()).filter_map(|id| self.get(id));
        all.find(|found| found.kind == kind && self.is_named(found, name))
    }
}

/// Where each type starts.
fn starts(records: &[u8], layout: &[u8], strings_size: usize) -> Result<Vec<u32>, Error> {
    let mut starts = Vec::new();
    let mut at = 0;
    while at < records.len() {
        if starts.len() == MAX_TYPES {
            return Err(Error::TooMany);
        }
        // A section's size fits in its header's 32 bits.
        starts.push(at as u32);
        let record = inside(records, "last type", at as u64..at as u64 + 12)?;
        let (id, offset) = (starts.len() as u32, word(record, 0).unwrap_or_default());
        if offset as usize >= strings_size {
            return Err(Error::Name { id, offset });
        }
        let (kind, elements) = kind_and_elements(word(record, 4).unwrap_or_default());
        let (once, each) = extra(kind, layout).ok_or(Error::Kind { id, kind })?;
        let size = 12 + u64::from(once) + u64::from(each) * u64::from(elements);
        at += inside(records, "last type", at as u64..at as u64 + size)?.len();
    }
    Ok(starts)
}

/// Bits 24 to 30 and 0 to 23 of a type's `info`. Before Linux 7.2 both fields were narrower and the bits between were 0.
fn kind_and_elements(info: u32) -> (u8, u32) {
    let [.., kind] = info.to_le_bytes();
    (kind & 0x7f, info & 0xff_ffff)
}

/// What follows a type of this kind; for kinds newer than this code, by the section's own description of itself
/// (`struct btf_layout`).
fn extra(kind: u8, layout: &[u8]) -> Option<(u8, u8)> {
    let known = EXTRA.get(usize::from(kind)).copied();
    let described = || layout.as_chunks::<4>().0.get(usize::from(kind)).map(|[once, each, ..]| (*once, *each));
    if kind == 0 { None } else { known.or_else(described) }
}

/// The part whose offset (behind the header) and length the header has at `field`.
fn part<'a>(section: &'a [u8], header: &[u8], what: &'static str, field: usize) -> Result<&'a [u8], Error> {
    let size = header.len() as u64;
    let missing = Error::Outside { what: "header", end: field as u64 + 8, size };
    let (Some(offset), Some(length)) = (word(header, field), word(header, field + 4)) else { return Err(missing) };
    slice(section, what, size + u64::from(offset), length)
}

fn slice<'a>(bytes: &'a [u8], what: &'static str, start: u64, length: u32) -> Result<&'a [u8], Error> {
    inside(bytes, what, start..start + u64::from(length))
}

fn inside<'a>(bytes: &'a [u8], what: &'static str, range: Range<u64>) -> Result<&'a [u8], Error> {
    let place = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
    let found = place.and_then(|(start, end)| bytes.get(start..end));
    found.ok_or(Error::Outside { what, end: range.end, size: bytes.len() as u64 })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
