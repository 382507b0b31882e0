//! The kernel's own symbol table, kallsyms, read out of a vmlinux: stock kernels have no other.
//!
//! `scripts/kallsyms.c` writes these tables into `.rodata`, one after the other (since Linux 6.4): the number of
//! symbols, their names as strings of tokens, a marker for every 256th name, the tokens, an index of the tokens, and the
//! addresses as 32-bit offsets. Their alignment is 8, or 4 from 7.0 on. What an offset is relative to has changed too:
//! see [`addresses`]. Nothing here goes by the kernel's version: the tables are recognised by their contents, which
//! refer to each other in ways that chance does not produce.

mod addresses;
mod names;
mod tokens;

use crate::extract::elf::{self, Elf, Section};

/// Why a kernel's symbols could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The ELF file.
    #[error(transparent)]
    Elf(#[from] elf::Error),
    /// One of the tables is of another form, or damaged.
    #[error("its symbol table (kallsyms) cannot be read: {0}")]
    Form(&'static str),
}

/// The kernel's symbols.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// All names, each after its one-letter type.
    names: String,
    /// Address, and where name and type end in `names`, by address.
    symbols: Vec<(u64, usize)>,
}

impl Table {
    /// How many symbols there are.
    pub(crate) fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Address, type and name of each symbol, by name and then by address.
    pub(crate) fn by_name(&self) -> Vec<(&str, u64, &str)> {
        let starts = std::iter::once(0).chain(self.symbols.iter().map(|(_, end)| *end));
        let mut all: Vec<_> = starts
            .zip(&self.symbols)
            .map(|(start, (address, end))| (&self.names[start + 1..*end], *address, &self.names[start..=start]))
            .collect();
        all.sort_unstable();
        all
    }

    fn address(&self, name: &str) -> Option<u64> {
        self.by_name().into_iter().find(|(found, ..)| *found == name).map(|(_, address, _)| address)
    }
}

/// Reads the symbols of a kernel; `None` when it has none (built without `CONFIG_KALLSYMS`).
pub(crate) fn read(elf: &Elf<'_>) -> Result<Option<Table>, Error> {
    let Some(constants) = elf.section(".rodata")? else { return Ok(None) };
    let table = find(&constants, section(elf, ".rodata")?.address)?;
    if let Some(table) = &table {
        check(elf, table)?;
    }
    Ok(table)
}

/// Finds the tables in the contents of `.rodata`, which is at `place` when the kernel runs.
pub(crate) fn find(constants: &[u8], place: u64) -> Result<Option<Table>, Error> {
    let Some(tokens) = tokens::find(constants) else { return Ok(None) };
    let found = names::find(constants, tokens.start)?;
    let addresses = addresses::find(constants, place, tokens.index_end, found.count)?;
    let mut table = Table::default();
    for (name, address) in found.iter(constants).zip(addresses) {
        tokens.expand(name, &mut table.names)?;
        table.symbols.push((address, table.names.len()));
    }
    Ok(Some(table))
}

/// The linker script puts `_stext` into `.text`; symbols by which it is elsewhere were misread.
fn check(elf: &Elf<'_>, table: &Table) -> Result<(), Error> {
    let text = section(elf, ".text")?;
    let inside = |address: u64| address.checked_sub(text.address).is_some_and(|offset| offset < text.size);
    match table.address("_stext").is_some_and(inside) {
        true => Ok(()),
        false => Err(Error::Form("by it _stext is not in .text")),
    }
}

fn section<'a>(elf: &'a Elf<'_>, name: &str) -> Result<&'a Section, Error> {
    elf.sections.iter().find(|section| section.name == name).ok_or(Error::Form("the kernel has no .text or .rodata"))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
#[path = "../kallsyms_tests.rs"]
mod tests;
