//! Framing of the control channel (COM2): a byte stream on which anything may stray, such as a kernel's early output.
//!
//! A frame is the magic bytes, the payload's length and CRC-32 as little-endian `u32`, and the payload. A reader that
//! meets other bytes skips to the next magic and counts what it skipped.

use crate::checksum;

/// First bytes of a frame: not UTF-8, so no text contains them.
const MAGIC: [u8; 4] = [0xf5, b'K', b'T', 0xf6];
const HEADER_BYTES: usize = 12;

/// The most payload bytes that a frame may have.
pub const MAX_FRAME_BYTES: usize = 64 << 10;

/// A frame around `payload`, which is cut to [`MAX_FRAME_BYTES`].
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(MAX_FRAME_BYTES)];
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&checksum(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Finds frames in a byte stream that arrives in pieces.
#[derive(Debug, Default)]
pub struct FrameReader {
    pending: Vec<u8>,
    skipped_bytes: u64,
}

impl FrameReader {
    /// Takes the next piece of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Bytes that belonged to no whole frame, so far.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// The payload of the next whole frame, if there is one yet.
    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        loop {
            self.skip_to_magic();
            let length = u32_at(&self.pending, 4)? as usize;
            let expected = u32_at(&self.pending, 8)?;
            if length > MAX_FRAME_BYTES {
                self.skip(1);
                continue;
            }
            let payload = self.pending.get(HEADER_BYTES..HEADER_BYTES + length)?;
            if checksum(payload) != expected {
                self.skip(1);
                continue;
            }
            let payload = payload.to_vec();
            self.pending.drain(..HEADER_BYTES + length);
            return Some(payload);
        }
    }

    fn skip_to_magic(&mut self) {
        let matches = |at: usize| MAGIC.starts_with(&self.pending[at..self.pending.len().min(at + MAGIC.len())]);
        let start = (0..self.pending.len()).find(|&at| matches(at)).unwrap_or(self.pending.len());
        self.skip(start);
    }

    fn skip(&mut self, count: usize) {
        self.pending.drain(..count);
        self.skipped_bytes += count as u64;
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
        let mut reader = FrameReader::default();
        let mut found = Vec::new();
        for piece in pieces {
            reader.push(piece);
            found.extend(std::iter::from_fn(|| reader.next_frame()));
        }
        (found, reader.skipped_bytes())
    }

    #[test]
    fn finds_frames_among_text() {
        let stream = [b"early text\r\n".as_slice(), &frame(b"one"), b"\xf5K noise", &frame(b"two")].concat();
        assert_eq!(frames(&[&stream]), (vec![b"one".to_vec(), b"two".to_vec()], 20));
    }

    #[test]
    fn a_damaged_frame_does_not_hide_the_next() {
        let mut damaged = frame(b"one");
        damaged[13] ^= 1;
        let mut endless = frame(b"x");
        endless[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(frames(&[&damaged, &endless, &frame(b"two")]).0, [b"two"]);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(payloads: Vec<Vec<u8>>, cut in 1usize..40) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            prop_assert_eq!(frames(&pieces), (payloads, 0));
        }

        #[test]
        fn noise_never_panics(pieces: Vec<Vec<u8>>) {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            frames(&pieces);
        }
    }
}
