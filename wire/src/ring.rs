//! A single-producer single-consumer ring of frames in shared memory.
//!
//! A ring occupies a span of a [`Region`]: a control block of [`CONTROL_BYTES`] and a power of two of data bytes.
//! Positions run freely modulo 2³² and are reduced to offsets by masking. A frame is its length and CRC-32 as
//! little-endian `u32`, the payload, and padding to 8 bytes.
//!
//! The producer looks at the consumer's position only when the space it knows of does not suffice, so a guest whose
//! output fits the ring runs the same whatever the host does meanwhile.

use crate::checksum;
use crate::region::Region;

/// Bytes of the control block in front of the data.
pub const CONTROL_BYTES: usize = 256;
const TAIL: usize = 0;
const HEAD: usize = 64;
const DROPPED: usize = 128;
const HEADER_BYTES: u32 = 8;

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
    /// The positions say that more is in the ring than it can hold.
    #[error("the ring is corrupt: positions {head}..{tail} span more than its {data_bytes} data bytes")]
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
}

/// The writing end.
#[derive(Debug)]
pub struct Producer<R> {
    region: R,
    span: Span,
    tail: u32,
    known_head: u32,
}

impl<R: Region> Producer<R> {
    /// The writing end of the ring at `span`.
    ///
    /// # Errors
    /// [`RingError::BadSpan`].
    pub fn new(region: R, span: Span) -> Result<Self, RingError> {
        check_span(&region, span)?;
        let (tail, known_head) = (region.load(span.offset + TAIL), region.load(span.offset + HEAD));
        Ok(Self { region, span, tail, known_head })
    }

    /// Appends a frame; `false` when there is no room for it now.
    pub fn push(&mut self, payload: &[u8]) -> bool {
        let Some(needed) = frame_bytes(payload.len(), self.span.data_bytes) else { return false };
        if self.free() < needed {
            self.known_head = self.region.load(self.span.offset + HEAD);
            if self.free() < needed {
                return false;
            }
        }
        let mut header = [0; HEADER_BYTES as usize];
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&checksum(payload).to_le_bytes());
        self.write(self.tail, &header);
        self.write(self.tail.wrapping_add(HEADER_BYTES), payload);
        self.tail = self.tail.wrapping_add(needed);
        self.region.store(self.span.offset + TAIL, self.tail);
        true
    }

    /// Whether a frame of this size fits an empty ring.
    pub fn can_ever_hold(&self, payload_bytes: usize) -> bool {
        frame_bytes(payload_bytes, self.span.data_bytes).is_some()
    }

    /// Tells the consumer that one more frame was given up.
    pub fn count_dropped(&mut self) {
        let at = self.span.offset + DROPPED;
        self.region.store(at, self.region.load(at).wrapping_add(1));
    }

    fn free(&self) -> u32 {
        self.span.data_bytes.saturating_sub(self.tail.wrapping_sub(self.known_head))
    }

    fn write(&self, position: u32, bytes: &[u8]) {
        let at = (position & (self.span.data_bytes - 1)) as usize;
        let first = bytes.len().min(self.span.data_bytes as usize - at);
        self.region.write(self.span.data() + at, &bytes[..first]);
        self.region.write(self.span.data(), &bytes[first..]);
    }
}

/// The reading end. It trusts nothing that it finds in the region.
#[derive(Debug)]
pub struct Consumer<R> {
    region: R,
    span: Span,
    head: u32,
}

impl<R: Region> Consumer<R> {
    /// The reading end of the ring at `span`.
    ///
    /// # Errors
    /// [`RingError::BadSpan`].
    pub fn new(region: R, span: Span) -> Result<Self, RingError> {
        check_span(&region, span)?;
        let head = region.load(span.offset + HEAD);
        Ok(Self { region, span, head })
    }

    /// The next frame, if there is one.
    ///
    /// # Errors
    /// When what is in the ring cannot have been written by a [`Producer`]; nothing after that can be trusted.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, RingError> {
        let (head, data_bytes) = (self.head, self.span.data_bytes);
        let tail = self.region.load(self.span.offset + TAIL);
        let available = tail.wrapping_sub(head);
        if available == 0 {
            return Ok(None);
        }
        if available > data_bytes {
            return Err(RingError::BadPositions { head, tail, data_bytes });
        }
        let mut header = [0; HEADER_BYTES as usize];
        self.read(head, &mut header);
        let [a, b, c, d, e, f, g, h] = header;
        let (length, expected) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let total = match frame_bytes(length as usize, data_bytes) {
            Some(total) if total <= available => total,
            _ => return Err(RingError::BadLength { head, length, available }),
        };
        let mut payload = vec![0; length as usize];
        self.read(head.wrapping_add(HEADER_BYTES), &mut payload);
        if checksum(&payload) != expected {
            return Err(RingError::BadChecksum { head, length });
        }
        self.head = head.wrapping_add(total);
        self.region.store(self.span.offset + HEAD, self.head);
        Ok(Some(payload))
    }

    /// Frames that the producer says it gave up.
    pub fn dropped(&self) -> u32 {
        self.region.load(self.span.offset + DROPPED)
    }

    fn read(&self, position: u32, into: &mut [u8]) {
        let at = (position & (self.span.data_bytes - 1)) as usize;
        let first = into.len().min(self.span.data_bytes as usize - at);
        let (front, back) = into.split_at_mut(first);
        self.region.read(self.span.data() + at, front);
        self.region.read(self.span.data(), back);
    }
}

fn check_span(region: &impl Region, span: Span) -> Result<(), RingError> {
    let region_bytes = region.len_bytes();
    if span.is_valid(region_bytes) { Ok(()) } else { Err(RingError::BadSpan { span, region_bytes }) }
}

/// Bytes that a frame takes, or `None` when it can never fit `data_bytes`.
fn frame_bytes(payload_bytes: usize, data_bytes: u32) -> Option<u32> {
    let total = u32::try_from(payload_bytes).ok()?.checked_add(HEADER_BYTES + 7)? & !7;
    (total <= data_bytes).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::MappedRegion;
    use crate::region::tests::Owned;
    use proptest::prelude::*;

    const SPAN: Span = Span { offset: 64, data_bytes: 256 };

    fn ends(owned: &Owned, span: Span) -> (Producer<MappedRegion>, Consumer<MappedRegion>) {
        (Producer::new(owned.region(), span).unwrap(), Consumer::new(owned.region(), span).unwrap())
    }

    #[test]
    fn refuses_spans_that_do_not_fit() {
        let owned = Owned::new(1024);
        for (offset, data_bytes) in [(1, 256), (64, 255), (64, 1024), (usize::MAX - 63, 256), (0, 32)] {
            assert!(Consumer::new(owned.region(), Span { offset, data_bytes }).is_err(), "{offset} {data_bytes}");
        }
    }

    #[test]
    fn says_when_it_is_full_and_goes_on_after() {
        let owned = Owned::new(1024);
        let (mut producer, mut consumer) = ends(&owned, SPAN);
        assert!(producer.push(&[1; 200]));
        assert!(!producer.push(&[2; 200]));
        producer.count_dropped();
        assert_eq!(consumer.pop().unwrap().unwrap(), [1; 200]);
        assert!(producer.push(&[3; 200]));
        assert_eq!(consumer.pop().unwrap().unwrap(), [3; 200]);
        assert_eq!(consumer.pop().unwrap(), None);
        assert_eq!(consumer.dropped(), 1);
        assert!(!producer.can_ever_hold(249) && producer.can_ever_hold(248));
    }

    #[test]
    fn frames_cross_threads_in_order() {
        let owned = Owned::new(1024);
        let (mut producer, mut consumer) = ends(&owned, SPAN);
        let frames = 20_000u32;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..frames {
                    let payload = number.to_le_bytes().repeat(1 + number as usize % 20);
                    while !producer.push(&payload) {
                        std::thread::yield_now();
                    }
                }
            });
            for number in 0..frames {
                let payload = loop {
                    match consumer.pop().unwrap() {
                        Some(payload) => break payload,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!(payload, number.to_le_bytes().repeat(1 + number as usize % 20));
            }
        });
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            start: u32,
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..60),
        ) {
            let owned = Owned::new(1024);
            let start = start & !7;
            owned.region().store(SPAN.offset + TAIL, start);
            owned.region().store(SPAN.offset + HEAD, start);
            let (mut producer, mut consumer) = ends(&owned, SPAN);
            for payload in payloads {
                prop_assert!(producer.push(&payload));
                prop_assert_eq!(consumer.pop().unwrap(), Some(payload));
            }
            prop_assert_eq!(consumer.pop().unwrap(), None);
        }

        #[test]
        fn hostile_memory_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 1024..=1024),
            tail in 0u32..600,
            head: u32,
        ) {
            let owned = Owned::new(1024);
            owned.region().write(0, &bytes);
            owned.region().store(SPAN.offset + HEAD, head);
            owned.region().store(SPAN.offset + TAIL, head.wrapping_add(tail));
            let mut consumer = Consumer::new(owned.region(), SPAN).unwrap();
            for _ in 0..64 {
                if consumer.pop().is_err() {
                    break;
                }
            }
        }
    }
}
