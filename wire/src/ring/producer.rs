//! The writing end of a ring.

use super::{
    AT_DROPPED, AT_HEAD, AT_TAIL, FRAME_HEADER_BYTES, RingError, Span, check_header, check_positions, check_span,
    frame_bytes, frame_checksum,
};
use crate::region::Region;

/// The writing end.
#[derive(Debug)]
pub struct Producer<R> {
    region: R,
    span: Span,
    tail: u32,
    known_head: u32,
    dropped: u32,
}

impl<R: Region> Producer<R> {
    /// The writing end of the ring at `span`.
    ///
    /// # Errors
    /// [`RingError::BadSpan`]; [`RingError::BadHeader`] and [`RingError::BadPositions`] when no ring is there.
    pub fn new(region: R, span: Span) -> Result<Self, RingError> {
        check_span(&region, span)?;
        check_header(&region, span)?;
        let word = |at| region.load(span.offset + at);
        let (tail, known_head, dropped) = (word(AT_TAIL), word(AT_HEAD), word(AT_DROPPED));
        check_positions(known_head, tail, span.data_bytes)?;
        Ok(Self { region, span, tail, known_head, dropped })
    }

    /// Appends a frame; `false` when there is no room for it now.
    ///
    /// # Errors
    /// When a [`Consumer`](super::Consumer) cannot have left the ring as it is. Asked only when space is short.
    pub fn push(&mut self, payload: &[u8]) -> Result<bool, RingError> {
        let Some(needed) = frame_bytes(payload.len(), self.span.data_bytes) else { return Ok(false) };
        if self.free() < needed {
            self.look_at_head()?;
            if self.free() < needed {
                return Ok(false);
            }
        }
        let mut header = [0; FRAME_HEADER_BYTES as usize];
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[4..].copy_from_slice(&frame_checksum(self.tail, payload).to_le_bytes());
        self.write(self.tail, &header);
        self.write(self.tail.wrapping_add(FRAME_HEADER_BYTES), payload);
        self.tail = self.tail.wrapping_add(needed);
        self.region.store(self.span.offset + AT_TAIL, self.tail);
        Ok(true)
    }

    /// Whether a frame of this size fits an empty ring.
    pub fn can_ever_hold(&self, payload_bytes: usize) -> bool {
        frame_bytes(payload_bytes, self.span.data_bytes).is_some()
    }

    /// Tells the consumer that one more frame was given up. The count stays at its maximum once it gets there.
    pub fn count_dropped(&mut self) {
        self.dropped = self.dropped.saturating_add(1);
        self.region.store(self.span.offset + AT_DROPPED, self.dropped);
    }

    /// Frames given up so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// The consumer's position lies between where it was and the producer's own.
    fn look_at_head(&mut self) -> Result<(), RingError> {
        check_header(&self.region, self.span)?;
        let head = self.region.load(self.span.offset + AT_HEAD);
        check_positions(head, self.tail, self.tail.wrapping_sub(self.known_head))?;
        self.known_head = head;
        Ok(())
    }

    fn free(&self) -> u32 {
        self.span.data_bytes - self.tail.wrapping_sub(self.known_head)
    }

    fn write(&self, position: u32, bytes: &[u8]) {
        let (at, until_end) = self.span.place(position);
        let (front, back) = bytes.split_at(bytes.len().min(until_end));
        self.region.write(at, front);
        self.region.write(self.span.data(), back);
    }
}
