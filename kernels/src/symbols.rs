//! The symbols of a cached kernel.
//!
//! The file `symbols` of an entry is text as `nm` prints it, `ADDRESS TYPE NAME`, sorted by name, so that a name is found
//! without reading all of it into a table.

use crate::error::{Error, io_context, write_context};
use crate::kallsyms::Table;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// `ADDRESS TYPE `.
const NAME_AT: usize = 16 + 3;

/// A symbol of a kernel's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Where it is when the kernel is not relocated: no KASLR, as in a direct boot of the ELF file.
    pub address: u64,
    /// The letter that nm(1) and /proc/kallsyms show: `T` is a global function, `d` a local variable.
    pub kind: char,
    /// Its name; several local symbols may share one.
    pub name: &'a str,
}

/// All symbols of a kernel's image, as its /proc/kallsyms lists them without KASLR and modules.
///
/// The address of a per-CPU variable is what `__per_cpu_offset[cpu]` is added to, whether small (up to Linux 6.14) or in
/// the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbols {
    text: String,
}

impl Symbols {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self::of(io_context(fs::read_to_string(path), "read", path)?))
    }

    /// The symbols in such a text.
    pub(crate) fn of(text: String) -> Self {
        Self { text }
    }

    /// The address of the symbol of that name. Where several have it, it is that of the only global one; `None` when
    /// there is none, or no telling.
    pub fn address(&self, name: &str) -> Option<u64> {
        let mut all = self.named(name);
        let first = all.next()?;
        if all.next().is_none() {
            return Some(first.address);
        }
        let mut global = self.named(name).filter(|symbol| symbol.kind.is_ascii_uppercase());
        global.next().filter(|_| global.next().is_none()).map(|symbol| symbol.address)
    }

    /// All symbols of that name, by address.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Symbol<'a>> {
        let lines = self.text.get(self.first_at_least(name)..).unwrap_or_default().lines();
        lines.take_while(move |line| name_of(line) == name).filter_map(parse)
    }

    /// All symbols, by name and then by address.
    pub fn iter(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.text.lines().filter_map(parse)
    }

    /// Where the first line starts whose name is not less.
    fn first_at_least(&self, name: &str) -> usize {
        let text = self.text.as_bytes();
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = memchr::memrchr(b'\n', &text[..middle]).map_or(0, |at| at + 1);
            let end = memchr::memchr(b'\n', &text[middle..]).map_or(text.len(), |at| middle + at);
            match self.text.get(start..end).map(name_of) {
                Some(found) if found < name => low = end + 1,
                _ => high = start,
            }
        }
        low
    }
}

fn name_of(line: &str) -> &str {
    line.get(NAME_AT..).unwrap_or_default()
}

fn parse(line: &str) -> Option<Symbol<'_>> {
    let address = u64::from_str_radix(line.get(..16)?, 16).ok()?;
    Some(Symbol { address, kind: line.get(17..)?.chars().next()?, name: line.get(NAME_AT..)? })
}

/// Writes the file that [`Symbols::read`] reads.
pub(crate) fn write(table: &Table, path: &Path) -> Result<(), Error> {
    let mut out = BufWriter::new(write_context(File::create(path), "create", path)?);
    for (name, address, kind) in table.by_name() {
        write_context(writeln!(out, "{address:016x} {kind} {name}"), "write", path)?;
    }
    write_context(out.flush(), "write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(lines: &[&str]) -> Symbols {
        Symbols::of(lines.iter().map(|line| format!("{line}\n")).collect())
    }

    #[test]
    fn finds_each_name() {
        let names: Vec<String> = (0..1000).map(|number| format!("name_{:04}", number * 3)).collect();
        let lines: Vec<String> =
            names.iter().enumerate().map(|(at, name)| format!("{:016x} T {name}", at + 1)).collect();
        let symbols = symbols(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        for (at, name) in names.iter().enumerate() {
            assert_eq!(symbols.address(name), Some(at as u64 + 1));
        }
        for none in ["", "a", "name_0001", "name_00000", "z"] {
            assert_eq!(symbols.address(none), None, "{none:?}");
        }
        assert_eq!(symbols.iter().count(), 1000);
    }

    #[test]
    fn a_name_that_several_have_is_the_global_one_or_none() {
        let symbols = symbols(&[
            "0000000000000001 t both",
            "0000000000000002 T both",
            "0000000000000003 t local",
            "0000000000000004 t local",
        ]);
        assert_eq!(symbols.address("both"), Some(2));
        assert_eq!(symbols.address("local"), None);
        let locals: Vec<_> = symbols.named("local").map(|symbol| (symbol.address, symbol.kind)).collect();
        assert_eq!(locals, [(3, 't'), (4, 't')]);
    }

    #[test]
    fn a_damaged_file_is_no_disaster() {
        for text in ["", "\n\n", "short", "ü\nü é\nzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "0000000000000001 T"] {
            let symbols = Symbols::of(text.to_owned());
            assert_eq!((symbols.address("a"), symbols.iter().count()), (None, 0), "{text:?}");
        }
    }
}
