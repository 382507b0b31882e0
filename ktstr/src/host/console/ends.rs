//! Text of which a flood leaves both ends.

use std::collections::VecDeque;

/// The last bytes of a stream, and how many went before them.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    limit: usize,
    left_out_bytes: u64,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit, left_out_bytes: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes_kept = &bytes[bytes.len().saturating_sub(self.limit)..];
        let surplus = (self.kept.len() + bytes_kept.len()).saturating_sub(self.limit);
        self.kept.drain(..surplus);
        self.kept.extend(bytes_kept);
        self.left_out_bytes += (surplus + bytes.len() - bytes_kept.len()) as u64;
    }

    /// What is kept, below a line that says how much is not.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let note = match self.left_out_bytes {
            0 => String::new(),
            count => format!("\n[ktstr: {count} bytes are left out here]\n"),
        };
        note.into_bytes().into_iter().chain(self.kept).collect()
    }
}

/// Both ends of a stream. They depend on the stream alone, not on the pieces in which it came.
#[derive(Debug)]
pub(crate) struct Ends {
    head: Vec<u8>,
    head_limit: usize,
    tail: Tail,
}

impl Ends {
    /// Keeps at most so many bytes, half of them from either end.
    pub(crate) fn new(limit: usize) -> Self {
        Self { head: Vec::new(), head_limit: limit / 2, tail: Tail::new(limit / 2) }
    }

    /// Appends.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.push(rest);
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        let mut bytes = self.head;
        bytes.extend(self.tail.into_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], expected: &str) {
        let mut ends = Ends::new(8);
        pieces.iter().for_each(|piece| ends.push(piece.as_bytes()));
        assert_eq!(ends.into_text(), expected, "{pieces:?}");
    }

    #[test]
    fn a_flood_keeps_its_ends() {
        check(&[], "");
        check(&["abc"], "abc");
        check(&["abcdefgh"], "abcdefgh");
        let flood = "abcd\n[ktstr: 2 bytes are left out here]\nghij";
        check(&["abcdefghij"], flood);
        check(&["abc", "defghi", "", "j"], flood);
        check(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], flood);
    }
}
