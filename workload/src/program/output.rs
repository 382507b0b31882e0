//! What a program printed, within bounds.

use std::collections::VecDeque;

/// The beginning is kept, and the end: programs say at the end what they measured.
const HEAD_BYTES: usize = 16 << 10;
const TAIL_BYTES: usize = 48 << 10;

/// One of its streams.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Output {
    /// Takes in more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        self.left_out += excess as u64;
    }

    /// As text, with a remark where something is left out.
    pub(super) fn text(mut self) -> String {
        let mut bytes = self.head;
        if self.left_out > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.left_out).as_bytes());
        }
        bytes.extend_from_slice(self.tail.make_contiguous());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_flood_are_kept() {
        let mut output = Output::default();
        let all: Vec<u8> = (0..100_000).flat_map(|number: u32| format!("{number}\n").into_bytes()).collect();
        all.chunks(777).for_each(|chunk| output.push(chunk));
        let text = output.text();
        assert!(text.starts_with("0\n1\n2\n") && text.ends_with("99998\n99999\n"));
        let left_out = all.len() - HEAD_BYTES - TAIL_BYTES;
        assert!(text.contains(&format!("\n[{left_out} bytes left out]\n")));
    }

    #[test]
    fn what_fits_is_whole() {
        let mut output = Output::default();
        let all = vec![b'x'; HEAD_BYTES + TAIL_BYTES];
        all.chunks(1000).for_each(|chunk| output.push(chunk));
        assert_eq!(output.text().into_bytes(), all);
    }
}
