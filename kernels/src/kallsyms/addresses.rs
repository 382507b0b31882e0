//! The addresses: one 32-bit word for each symbol, in ascending order of address.
//!
//! Three meanings of a word exist (kernel/kallsyms.c, kallsyms_sym_address). With a base behind the table:
//! an unsigned offset from the base (6.15, 6.16); or, where per-CPU symbols have small absolute addresses, the address
//! itself if not negative, else minus one minus the offset from the base (up to 6.14). Without a base: a signed offset
//! from the word's own address (from 7.0 on).

use super::{Error, u32_at};

/// The kernel's image lies above this. Source: Documentation/arch/x86/x86_64/mm.rst.
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// The addresses of `count` symbols from the table that starts at `at`; `place` is the address of `bytes`.
pub(super) fn find(bytes: &[u8], place: u64, at: usize, count: usize) -> Result<Vec<u64>, Error> {
    let length = count.checked_mul(4).ok_or(Error::Form("it has too many symbols"))?;
    let tables = [at.next_multiple_of(4), at.next_multiple_of(8)];
    let found = tables.into_iter().find_map(|start| {
        let table = bytes.get(start..start.checked_add(length)?)?;
        let words: Vec<i32> = table.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)).collect();
        let end = start + length;
        let bases = [end.next_multiple_of(8), end.next_multiple_of(4)].into_iter().filter_map(|at| base(bytes, at));
        bases
            .flat_map(|base| [from_base(&words, base), from_base_or_absolute(&words, base)])
            .chain([from_place(&words, place.wrapping_add(start as u64))])
            .find(|addresses| plausible(addresses))
    });
    found.ok_or(Error::Form("its addresses do not ascend by any known rule"))
}

fn base(bytes: &[u8], at: usize) -> Option<u64> {
    let base = u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at + 4)?) << 32;
    (base >= IMAGE).then_some(base)
}

fn from_base(words: &[i32], base: u64) -> Vec<u64> {
    words.iter().map(|word| base.wrapping_add(u64::from(word.cast_unsigned()))).collect()
}

fn from_base_or_absolute(words: &[i32], base: u64) -> Vec<u64> {
    let address = |word: &i32| match u64::try_from(*word) {
        Ok(absolute) => absolute,
        // Not of the word with its sign changed: the smallest has none.
        Err(_) => base.wrapping_add(u64::from((!word).cast_unsigned())),
    };
    words.iter().map(address).collect()
}

fn from_place(words: &[i32], place: u64) -> Vec<u64> {
    let places = (place..).step_by(4);
    words.iter().zip(places).map(|(word, place)| place.wrapping_add_signed(i64::from(*word))).collect()
}

/// Ascending, and in the image at the end: words read by a wrong rule are not.
fn plausible(addresses: &[u64]) -> bool {
    addresses.is_sorted() && addresses.last().is_some_and(|last| *last >= IMAGE)
}
