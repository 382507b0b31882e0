//! The newest part of a text that may be long.

use std::collections::VecDeque;

/// A text that still comes.
pub(super) struct Tail {
    kept: VecDeque<u8>,
    most_bytes: usize,
    left_out_bytes: u64,
}

/// What is kept of it.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// Whole lines.
    pub(super) bytes: Vec<u8>,
    /// How much came before these.
    pub(super) left_out_bytes: u64,
}

impl Tail {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { kept: VecDeque::new(), most_bytes, left_out_bytes: 0 }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.kept.extend(piece);
        let excess = self.kept.len().saturating_sub(self.most_bytes);
        self.kept.drain(..excess);
        self.left_out_bytes += excess as u64;
    }

    /// Nothing more comes. A line whose beginning is lost goes, too.
    pub(super) fn end(mut self) -> Text {
        if self.left_out_bytes > 0 {
            let cut = self.kept.iter().position(|byte| *byte == b'\n').map_or(self.kept.len(), |at| at + 1);
            self.kept.drain(..cut);
            self.left_out_bytes += cut as u64;
        }
        Text { bytes: self.kept.into(), left_out_bytes: self.left_out_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], most_bytes: usize, expected: &str, left_out_bytes: u64) {
        let mut tail = Tail::new(most_bytes);
        pieces.iter().for_each(|piece| tail.push(piece.as_bytes()));
        let text = tail.end();
        assert_eq!((text.bytes.as_slice(), text.left_out_bytes), (expected.as_bytes(), left_out_bytes), "{pieces:?}");
    }

    #[test]
    fn the_last_whole_lines_are_kept() {
        check(&["a\nb\n"], 4, "a\nb\n", 0);
        check(&["ab\ncd", "\nef\n"], 8, "cd\nef\n", 3);
        check(&["ab\ncd\nef\n"], 4, "ef\n", 6);
        check(&["a very long line"], 4, "", 16);
        check(&[], 0, "", 0);
    }
}
