//! `.BTF` sections put together by hand, for tests.

use crate::{FUNC, FUNC_PROTO};

/// A `.BTF` section under construction; ids count from 1.
#[derive(Default)]
pub struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// (bytes once, bytes for each element) of every kind, if the section is to describe itself.
    pub layout: Option<Vec<(u8, u8)>>,
    count: u32,
}

/// Little-endian bytes of some words.
pub fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Builder {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        if name.is_empty() { 0 } else { at }
    }

    /// Any type: its elements' number, its size or target, and what follows.
    pub fn raw(&mut self, name: &str, kind: u8, elements: u32, target: u32, extra: &[u8]) -> u32 {
        let words = [self.name(name), u32::from(kind) << 24 | elements, target];
        self.types.extend([bytes(&words), extra.to_vec()].concat());
        self.count += 1;
        self.count
    }

    /// A type that refers to another, with parameters if it is a prototype.
    pub fn add(&mut self, name: &str, kind: u8, target: u32, params: &[(&str, u32)]) -> u32 {
        let words: Vec<u32> = params.iter().flat_map(|(name, id)| [self.name(name), *id]).collect();
        self.raw(name, kind, params.len() as u32, target, &bytes(&words))
    }

    /// A type with members: each a name and the two words behind it.
    pub fn members(&mut self, name: &str, kind: u8, size_bytes: u32, members: &[(&str, [u32; 2])]) -> u32 {
        let words: Vec<u32> =
            members.iter().flat_map(|(name, [target, place])| [self.name(name), *target, *place]).collect();
        self.raw(name, kind, members.len() as u32, size_bytes, &bytes(&words))
    }

    /// A function and its prototype; the function's id.
    pub fn function(&mut self, name: &str, params: &[(&str, u32)]) -> u32 {
        let prototype = self.add("", FUNC_PROTO, 0, params);
        self.add(name, FUNC, prototype, &[])
    }

    /// The whole section, with the strings in front of the types: an order that kernels do not use but allow.
    pub fn section(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let layout: Vec<u8> = self.layout.iter().flatten().flat_map(|(once, each)| [*once, *each, 0, 0]).collect();
        let mut header = vec![24, strings, types, 0, strings];
        if self.layout.is_some() {
            header[0] = 32;
            header.extend([strings + types, layout.len() as u32]);
        }
        [&[0x9f, 0xeb, 1, 0], &*bytes(&header), &self.strings, &self.types, &layout].concat()
    }
}
