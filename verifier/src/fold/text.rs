//! A folded log as text, and back.
//!
//! What is left out is a line that begins with `~ `. Lines of the log that begin with `~` get another one before them.

use super::{Like, Omitted, Piece, Span};
use std::io::{self, BufRead, Read, Write};
use std::ops::Range;

const MARK: u8 = b'~';

/// Writes what is shown, and a line for what is not.
///
/// # Errors
/// When the log cannot be read or the text cannot be written.
pub fn render(mut log: impl BufRead, pieces: impl IntoIterator<Item = Piece>, mut out: impl Write) -> io::Result<()> {
    for piece in pieces {
        match piece {
            Piece::Shown(span) => copy(&mut log, len(&span.bytes), &mut out)?,
            Piece::Omitted(omitted) => {
                out.write_all(marker(&omitted).as_bytes())?;
                io::copy(&mut log.by_ref().take(len(&omitted.span.bytes)), &mut io::sink())?;
            }
        }
    }
    out.flush()
}

fn len(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn marker(omitted: &Omitted) -> String {
    let Span { bytes, lines } = &omitted.span;
    let place = format!("lines {} of the log, bytes {}..{}, are left out", human(lines), bytes.start, bytes.end);
    match &omitted.like {
        Like::Iterations { count: 1, first } => {
            format!("~ 1 more iteration like lines {}: {place}; then the last one\n", human(&first.lines))
        }
        Like::Iterations { count, first } => {
            format!("~ {count} more iterations like lines {}: {place}; then the last one\n", human(&first.lines))
        }
        Like::Bookkeeping => format!("~ {} more lines of book-keeping: {place}\n", len(lines)),
    }
}

/// Lines as people and editors count them.
fn human(lines: &Range<u64>) -> String {
    format!("{}-{}", lines.start + 1, lines.end)
}

/// Copies whole lines.
fn copy(log: &mut impl BufRead, mut len: u64, out: &mut impl Write) -> io::Result<()> {
    let mut at_start = true;
    while len > 0 {
        let bytes = log.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the log is shorter than when it was folded"));
        }
        if at_start && bytes[0] == MARK {
            out.write_all(&[MARK])?;
        }
        let most = bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        let end = memchr::memchr(b'\n', &bytes[..most]);
        let taken = end.map_or(most, |at| at + 1);
        out.write_all(&bytes[..taken])?;
        log.consume(taken);
        at_start = end.is_some();
        len -= taken as u64;
    }
    Ok(())
}

/// Why a folded log could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// A line about what is left out does not name it.
    #[error("line {0} of the folded log does not say which bytes are left out: was it edited?")]
    Marker(usize),
    /// The raw log has other text at that place, or none.
    #[error("line {0} of the folded log is not what the raw log has there: is it another program's?")]
    Foreign(usize),
    /// The raw log goes on.
    #[error("the folded log ends at byte {0} of the raw log, which goes on: was it cut?")]
    Short(usize),
}

/// Puts the raw log together from the folded one, with what the folded one lacks from `raw`.
///
/// # Errors
/// When the two do not belong together.
pub fn expand(folded: &[u8], raw: &[u8]) -> Result<Vec<u8>, ExpandError> {
    let mut log = Vec::with_capacity(raw.len());
    for (index, line) in folded.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let text = match line {
            [MARK, b' ', rest @ ..] => {
                let bytes = omitted_bytes(rest).filter(|bytes| bytes.start == log.len());
                raw.get(bytes.ok_or(ExpandError::Marker(number))?).ok_or(ExpandError::Foreign(number))?
            }
            [MARK, rest @ ..] => rest,
            _ => line,
        };
        if !raw.get(log.len()..).is_some_and(|rest| rest.starts_with(text)) {
            return Err(ExpandError::Foreign(number));
        }
        log.extend_from_slice(text);
    }
    if log.len() == raw.len() { Ok(log) } else { Err(ExpandError::Short(log.len())) }
}

fn omitted_bytes(marker: &[u8]) -> Option<Range<usize>> {
    let text = std::str::from_utf8(marker).ok()?;
    let (_, rest) = text.split_once(", bytes ")?;
    let (start, end) = rest.split_once(',')?.0.split_once("..")?;
    let range = start.parse().ok()?..end.parse().ok()?;
    (range.start <= range.end).then_some(range)
}
