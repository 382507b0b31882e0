//! The names: for each symbol a length and as many tokens, the number of symbols before them, markers behind.

use super::{Error, u32_at};

/// A marker for each so many names.
const PER_MARKER: usize = 256;
/// The names behind the last marker are shorter than this, in bytes.
const LAST_STRETCH: usize = PER_MARKER * 1024;

/// Where the names lie.
pub(super) struct Names {
    start: usize,
    pub(super) count: usize,
}

/// Finds the names from what lies between them and the tokens: the markers, offsets of names that go up from 0.
pub(super) fn find(bytes: &[u8], tokens_start: usize) -> Result<Names, Error> {
    let (first, last) = markers(bytes, tokens_start).ok_or(Error::Form("there are no markers before the tokens"))?;
    let count = (last - first) / 4 + 1;
    let reach = u32_at(bytes, last).unwrap_or(0) as usize;
    let end = first.checked_sub(reach).ok_or(Error::Form("its markers lie outside"))? & !3;
    let starts = (end.saturating_sub(LAST_STRETCH)..=end).rev().step_by(4);
    // The number of symbols is a 32-bit word, aligned to 8 bytes or to 4.
    let candidates = starts.flat_map(|start| [4, 8].map(|gap| (start, gap)));
    let found = candidates.filter_map(|(start, gap)| {
        let symbols = u32_at(bytes, start.checked_sub(gap)?)? as usize;
        (symbols.div_ceil(PER_MARKER) == count).then_some(Names { start, count: symbols })
    });
    found
        .into_iter()
        .find(|names| names.agree_with(bytes, first))
        .ok_or(Error::Form("there are no names where the markers say"))
}

/// The positions of the first and last marker.
fn markers(bytes: &[u8], tokens_start: usize) -> Option<(usize, usize)> {
    let mut last = (tokens_start & !3).checked_sub(4)?;
    if u32_at(bytes, last)? == 0 {
        last = last.checked_sub(4)?;
    }
    let mut first = last;
    while u32_at(bytes, first)? != 0 {
        let before = first.checked_sub(4)?;
        if u32_at(bytes, before)? >= u32_at(bytes, first)? {
            return None;
        }
        first = before;
    }
    Some((first, last))
}

impl Names {
    /// The tokens of each name; ends early where the bytes do.
    pub(super) fn iter<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut at = self.start;
        (0..self.count).map_while(move |_| {
            let (name, end) = entry(bytes, at)?;
            at = end;
            Some(name)
        })
    }

    /// Whether each marker is the offset of its name, and the names end where the markers start.
    fn agree_with(&self, bytes: &[u8], markers: usize) -> bool {
        let mut at = self.start;
        for number in 0..self.count {
            let marker = markers + 4 * (number / PER_MARKER);
            let marked =
                number % PER_MARKER != 0 || u32_at(bytes, marker).is_some_and(|m| m as usize == at - self.start);
            match entry(&bytes[..markers], at) {
                Some((_, end)) if marked => at = end,
                _ => return false,
            }
        }
        markers - at < 8
    }
}

/// The tokens of the name at `at`, and where it ends. The length is 7 bits, or 14 with the top bit of the first byte set.
fn entry(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let low = usize::from(*bytes.get(at)?);
    let (length, start) = match low & 0x80 {
        0 => (low, at + 1),
        _ => (low & 0x7f | usize::from(*bytes.get(at + 1)?) << 7, at + 2),
    };
    Some((bytes.get(start..start + length)?, start + length))
}
