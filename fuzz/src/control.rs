//! The byte stream of COM2.

use ktstr_wire::control::{FrameReader, frame};

/// The first byte says in what pieces the stream comes. A good frame behind it is found, and each byte counted.
pub(crate) fn run(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let mut reader = FrameReader::default();
    let mut payload_bytes = 0;
    for piece in stream.chunks(usize::from(*piece).max(1)) {
        reader.push(piece);
        while let Some(payload) = reader.next_frame() {
            payload_bytes += payload.len() + frame(&[]).len();
        }
    }
    assert!(payload_bytes as u64 + reader.skipped_bytes() <= stream.len() as u64);
}

/// Frames among noise.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![[&[3], &frame(b"one")[..], b"\xf5K noise", &frame(b""), &frame(&[7; 100])].concat()]
}
