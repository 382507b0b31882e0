//! The tokens that names are made of: 256 strings, most of them a common piece of a name.

use super::Error;

const COUNT: usize = 256;
/// A character that occurs in names is its own token, so these ten follow each other in every kernel.
const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// Tokens before that of `0`.
const BEFORE_DIGITS: usize = b'0' as usize;
/// `KSYM_NAME_LEN` of include/linux/kallsyms.h, and a margin.
const LONGEST_NAME: usize = 1024;

/// The table and where it lies.
pub(super) struct Tokens<'a> {
    strings: Vec<&'a [u8]>,
    /// Where it starts.
    pub(super) start: usize,
    /// Where the index behind it ends.
    pub(super) index_end: usize,
}

/// Finds the table by its digits and by the index that follows it.
pub(super) fn find(bytes: &[u8]) -> Option<Tokens<'_>> {
    memchr::memmem::find_iter(bytes, DIGITS).find_map(|digits| {
        let start = back(bytes, digits)?;
        let strings = strings(bytes, start)?;
        let end = strings.last()?.1 + 1;
        let index_end =
            [4, 8].iter().find_map(|align| index_end(bytes, end.next_multiple_of(*align), start, &strings))?;
        let strings = strings.into_iter().map(|(from, to)| &bytes[from..to]).collect();
        Some(Tokens { strings, start, index_end })
    })
}

/// The start of the string that lies [`BEFORE_DIGITS`] strings before `at`.
fn back(bytes: &[u8], at: usize) -> Option<usize> {
    (0..BEFORE_DIGITS).try_fold(at, |at, _| {
        let before = bytes.get(..at.checked_sub(1)?)?;
        Some(memchr::memrchr(0, before)? + 1)
    })
}

/// Where each string starts and ends.
fn strings(bytes: &[u8], mut at: usize) -> Option<Vec<(usize, usize)>> {
    let next = |_| {
        let start = at;
        let end = start + memchr::memchr(0, bytes.get(start..)?)?;
        at = end + 1;
        Some((start, end))
    };
    (0..COUNT).map(next).collect()
}

/// Where the index that starts at `at` ends, if it is one of these strings.
fn index_end(bytes: &[u8], at: usize, start: usize, strings: &[(usize, usize)]) -> Option<usize> {
    let (index, _) = bytes.get(at..at + 2 * COUNT)?.as_chunks::<2>();
    let same = |(word, (from, _)): (&[u8; 2], &(usize, usize))| usize::from(u16::from_le_bytes(*word)) == from - start;
    index.iter().zip(strings).all(same).then_some(at + 2 * COUNT)
}

impl Tokens<'_> {
    /// Appends the name that a string of tokens stands for.
    pub(super) fn expand(&self, name: &[u8], into: &mut String) -> Result<(), Error> {
        let start = into.len();
        for token in name {
            let piece = self.strings[usize::from(*token)];
            let fits = piece.iter().all(u8::is_ascii_graphic) && into.len() - start + piece.len() <= LONGEST_NAME;
            let piece = std::str::from_utf8(piece).ok().filter(|_| fits);
            into.push_str(piece.ok_or(Error::Form("a name holds what no name can"))?);
        }
        if into.len() - start < 2 {
            return Err(Error::Form("a symbol has no name"));
        }
        Ok(())
    }
}
