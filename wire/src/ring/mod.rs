//! A single-producer single-consumer ring of frames in shared memory.
//!
//! A ring occupies a span of a [`Region`]: a control block of [`CONTROL_BYTES`] and a power of two of data bytes. The
//! control block has a cache line for each of header (magic, [`PROTOCOL_VERSION`], data bytes), producer's position,
//! consumer's position, and count of frames given up. All words are little-endian `u32`.
//!
//! Positions run freely modulo 2³², in steps of 8, and are reduced to offsets by masking. A frame is its length, a
//! CRC-32, the payload, and padding to 8 bytes. The checksum covers the frame's position and length as well as its
//! payload, so a frame of an earlier lap or from another place never passes.
//!
//! The producer looks at the consumer's position only when the space it knows of does not suffice, so a guest whose
//! output fits the ring runs the same whatever the host does meanwhile.
//!
//! Either end may face memory that somebody else writes to. What an end copies out is checked after it was copied, and
//! every claim (positions, lengths, counts, header) is checked against what the end itself knows.

mod consumer;
mod producer;
#[cfg(test)]
mod ring_tests;

use crate::PROTOCOL_VERSION;
use crate::region::Region;

pub use consumer::Consumer;
pub use producer::Producer;

/// Bytes of the control block in front of the data.
pub const CONTROL_BYTES: usize = 256;

const MAGIC: u32 = u32::from_le_bytes(*b"KTRG");
const AT_MAGIC: usize = 0;
const AT_VERSION: usize = 4;
const AT_DATA_BYTES: usize = 8;
const AT_TAIL: usize = 64;
const AT_HEAD: usize = 128;
const AT_DROPPED: usize = 192;

/// Bytes in front of a frame's payload: length and checksum.
const FRAME_HEADER_BYTES: u32 = 8;
/// Frames begin at multiples of this.
const ALIGN: u32 = 8;

/// Where a ring lies in its region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the control block, 64-aligned.
    pub offset: usize,
    /// Bytes of data behind the control block: a power of two from 64 to 2³⁰.
    pub data_bytes: u32,
}

impl Span {
    /// Bytes from the control block to the end of the data.
    pub const fn len_bytes(&self) -> usize {
        CONTROL_BYTES + self.data_bytes as usize
    }

    /// Whether a ring may lie there in a region of `region_bytes`.
    pub fn is_valid(&self, region_bytes: usize) -> bool {
        self.offset.is_multiple_of(64)
            && self.data_bytes.is_power_of_two()
            && (64..=1 << 30).contains(&self.data_bytes)
            && self.offset.checked_add(self.len_bytes()).is_some_and(|end| end <= region_bytes)
    }

    /// Offset of the data byte at a position, and how many bytes lie from there to the end of the data.
    const fn place(&self, position: u32) -> (usize, usize) {
        let at = (position & (self.data_bytes - 1)) as usize;
        (self.offset + CONTROL_BYTES + at, self.data_bytes as usize - at)
    }

    /// Offset of the first data byte.
    const fn data(&self) -> usize {
        self.offset + CONTROL_BYTES
    }
}

/// What is wrong with a ring: the other side broke the protocol, or memory was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// The span does not fit the region.
    #[error("the ring at {span:?} does not fit a region of {region_bytes} bytes")]
    BadSpan {
        /// As claimed.
        span: Span,
        /// Size of the region.
        region_bytes: usize,
    },
    /// A word of the header is not what [`format()`] wrote.
    #[error("the ring is corrupt: its {what} is {found:#x} instead of {expected:#x}")]
    BadHeader {
        /// The word.
        what: &'static str,
        /// What is there.
        found: u32,
        /// What belongs there.
        expected: u32,
    },
    /// The positions say that more is in the ring than it can hold, that one of them moved backwards, or lie between
    /// frames.
    #[error("the ring is corrupt: positions {head}..{tail} are impossible with its {data_bytes} data bytes")]
    BadPositions {
        /// Consumer's position.
        head: u32,
        /// Producer's position.
        tail: u32,
        /// Data bytes of the ring.
        data_bytes: u32,
    },
    /// A frame's length leads beyond what has been written.
    #[error("the ring is corrupt: a frame of {length} bytes at position {head}, where {available} are available")]
    BadLength {
        /// Position of the frame.
        head: u32,
        /// Its claimed length.
        length: u32,
        /// Bytes that have been written and not consumed.
        available: u32,
    },
    /// A frame's checksum is wrong.
    #[error("the ring is corrupt: wrong checksum of the frame of {length} bytes at position {head}")]
    BadChecksum {
        /// Position of the frame.
        head: u32,
        /// Its length.
        length: u32,
    },
    /// The number of frames given up became smaller.
    #[error("the ring is corrupt: the producer had given up {before} frames, and now says {now}")]
    BadDropped {
        /// What it said before.
        before: u32,
        /// What it says now.
        now: u32,
    },
}

/// Makes an empty ring of zeroed memory. Both ends refuse one that was not made so.
///
/// # Errors
/// [`RingError::BadSpan`].
pub fn format(region: &impl Region, span: Span) -> Result<(), RingError> {
    check_span(region, span)?;
    for (at, _, value) in header(span) {
        region.store(span.offset + at, value);
    }
    Ok(())
}

/// Offset, name and value of each word of the header.
const fn header(span: Span) -> [(usize, &'static str, u32); 3] {
    [(AT_MAGIC, "magic", MAGIC), (AT_VERSION, "version", PROTOCOL_VERSION), (AT_DATA_BYTES, "size", span.data_bytes)]
}

fn check_span(region: &impl Region, span: Span) -> Result<(), RingError> {
    let region_bytes = region.len_bytes();
    if span.is_valid(region_bytes) { Ok(()) } else { Err(RingError::BadSpan { span, region_bytes }) }
}

fn check_header(region: &impl Region, span: Span) -> Result<(), RingError> {
    for (at, what, expected) in header(span) {
        let found = region.load(span.offset + at);
        if found != expected {
            return Err(RingError::BadHeader { what, found, expected });
        }
    }
    Ok(())
}

/// Bytes between the positions, which must be whole frames and no more than the ring holds.
fn check_positions(head: u32, tail: u32, data_bytes: u32) -> Result<u32, RingError> {
    let used = tail.wrapping_sub(head);
    let aligned = head.is_multiple_of(ALIGN) && tail.is_multiple_of(ALIGN);
    if aligned && used <= data_bytes { Ok(used) } else { Err(RingError::BadPositions { head, tail, data_bytes }) }
}

/// Bytes that a frame takes, or `None` when it can never fit `data_bytes`.
fn frame_bytes(payload_bytes: usize, data_bytes: u32) -> Option<u32> {
    let total = u32::try_from(payload_bytes).ok()?.checked_add(FRAME_HEADER_BYTES + ALIGN - 1)? & !(ALIGN - 1);
    (total <= data_bytes).then_some(total)
}

/// Checksum of a frame at a position. The length is the payload's.
fn frame_checksum(position: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_le_bytes());
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}
