//! The lines of a stream, in bounded memory.

use std::io::{self, BufRead};
use std::ops::Range;

/// As much of a line as is looked at. The verifier's own lines are shorter, but for whole frames.
pub(crate) const LOOKED_AT_BYTES: usize = 8 << 10;

/// Where a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its bytes in the stream, with the line's end.
    pub(crate) bytes: Range<u64>,
    /// Whether there is more of it than was looked at.
    pub(crate) is_cut: bool,
}

/// Hands every line, without its end and up to [`LOOKED_AT_BYTES`] of it, to `each`.
pub(crate) fn for_each(mut log: impl BufRead, mut each: impl FnMut(&[u8], Place)) -> io::Result<()> {
    let mut line = Vec::new();
    let mut at = 0;
    loop {
        line.clear();
        let len = read_line(&mut log, &mut line)?;
        if len == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        each(text, Place { bytes: at..at + len, is_cut: line.len() as u64 != len });
        at += len;
    }
}

/// Reads up to a line's end, keeps what is looked at, and tells how much it was.
fn read_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    let mut len = 0;
    loop {
        let bytes = match log.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = memchr::memchr(b'\n', bytes);
        let taken = end.map_or(bytes.len(), |at| at + 1);
        let room = LOOKED_AT_BYTES - line.len();
        line.extend_from_slice(&bytes[..taken.min(room)]);
        log.consume(taken);
        len += taken as u64;
        if end.is_some() || taken == 0 {
            return Ok(len);
        }
    }
}

/// The lines of a log from the last to the first, each with where it begins, without their ends.
pub(crate) fn backwards(log: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut end = log.strip_suffix(b"\n").map_or(log.len(), <[u8]>::len);
    let mut is_over = log.is_empty();
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let newline = memchr::memrchr(b'\n', &log[..end]);
        let start = newline.map_or(0, |at| at + 1);
        let line = &log[start..end];
        match newline {
            Some(at) => end = at,
            None => is_over = true,
        }
        Some((start, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn read(log: &[u8], buffer_bytes: usize) -> Vec<(Vec<u8>, Place)> {
        let mut lines = Vec::new();
        for_each(BufReader::with_capacity(buffer_bytes, log), |text, place| lines.push((text.to_vec(), place)))
            .unwrap();
        lines
    }

    #[track_caller]
    fn check(log: &[u8], expected: &[(&[u8], Range<u64>)]) {
        let place = |bytes: &Range<u64>| Place { bytes: bytes.clone(), is_cut: false };
        let expected: Vec<_> = expected.iter().map(|(text, bytes)| (text.to_vec(), place(bytes))).collect();
        assert_eq!(read(log, 64), expected);
        assert_eq!(read(log, 1), expected);
        let mut back: Vec<_> = backwards(log).map(|(at, line)| (line.to_vec(), at as u64)).collect();
        back.reverse();
        assert_eq!(back, expected.into_iter().map(|(line, place)| (line, place.bytes.start)).collect::<Vec<_>>());
    }

    #[test]
    fn lines_and_where_they_are() {
        check(b"", &[]);
        check(b"a", &[(b"a", 0..1)]);
        check(b"a\n\nbc\n", &[(b"a", 0..2), (b"", 2..3), (b"bc", 3..6)]);
        check(b"\n", &[(b"", 0..1)]);
    }

    #[test]
    fn a_long_line_is_looked_at_in_part() {
        let mut log = vec![b'x'; LOOKED_AT_BYTES * 3];
        log.extend(b"\nb");
        let lines = read(&log, 1000);
        assert_eq!(lines[0].0.len(), LOOKED_AT_BYTES);
        assert_eq!(lines[0].1, Place { bytes: 0..log.len() as u64 - 1, is_cut: true });
        assert_eq!(lines[1].0, b"b");
    }
}
