//! The reading end of a ring, which trusts nothing that it finds there.

use super::{
    AT_DROPPED, AT_HEAD, AT_TAIL, FRAME_HEADER_BYTES, RingError, Span, check_header, check_positions, check_span,
    frame_bytes, frame_checksum,
};
use crate::region::Region;

/// The reading end.
#[derive(Debug)]
pub struct Consumer<R> {
    region: R,
    span: Span,
    head: u32,
    /// The last value of `head` that the producer may know.
    told_head: u32,
    dropped: u32,
    payload: Vec<u8>,
    broken: Option<RingError>,
}

impl<R: Region> Consumer<R> {
    /// The reading end of the ring at `span`.
    ///
    /// # Errors
    /// [`RingError::BadSpan`]; [`RingError::BadHeader`] and [`RingError::BadPositions`] when no ring is there.
    pub fn new(region: R, span: Span) -> Result<Self, RingError> {
        check_span(&region, span)?;
        check_header(&region, span)?;
        let head = region.load(span.offset + AT_HEAD);
        check_positions(head, head, span.data_bytes)?;
        Ok(Self { region, span, head, told_head: head, dropped: 0, payload: Vec::new(), broken: None })
    }

    /// The next frame, if there is one.
    ///
    /// # Errors
    /// When what is in the ring cannot have been written by a [`Producer`](super::Producer). Nothing after that can be
    /// trusted: the same error comes back ever after.
    pub fn pop(&mut self) -> Result<Option<Vec<u8>>, RingError> {
        let popped = self.pop_seen();
        self.tell_head();
        self.remember(popped)
    }

    /// Hands every frame that is in the ring at this moment to `each`. Frames that come meanwhile wait for the next
    /// call, so however fast a producer is, a call takes no more than what the ring holds.
    ///
    /// # Errors
    /// As [`Self::pop`]; frames before the error have been handed out.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> Result<(), RingError> {
        let drained = self.drain_seen(&mut each);
        self.tell_head();
        self.remember(drained)
    }

    /// Frames that the producer had given up when last looked at.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    fn pop_seen(&mut self) -> Result<Option<Vec<u8>>, RingError> {
        let available = self.look()?;
        if available == 0 {
            return Ok(None);
        }
        self.next(available)?;
        Ok(Some(std::mem::take(&mut self.payload)))
    }

    fn drain_seen(&mut self, each: &mut impl FnMut(&[u8])) -> Result<(), RingError> {
        let mut left = self.look()?;
        while left > 0 {
            left -= self.next(left)?;
            each(&self.payload);
            // A producer that waits for space need not wait for the rest, and a busy one is not disturbed at each frame.
            if self.head.wrapping_sub(self.told_head) >= self.span.data_bytes / 8 {
                self.tell_head();
            }
        }
        Ok(())
    }

    /// Checks the producer's claims; tells how many bytes are to be consumed.
    fn look(&mut self) -> Result<u32, RingError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        check_header(&self.region, self.span)?;
        let now = self.region.load(self.span.offset + AT_DROPPED);
        if now < self.dropped {
            return Err(RingError::BadDropped { before: self.dropped, now });
        }
        self.dropped = now;
        let tail = self.region.load(self.span.offset + AT_TAIL);
        check_positions(self.head, tail, self.span.data_bytes)
    }

    /// Copies the next of `available` bytes into `payload`, then checks the copy; tells how many bytes the frame took.
    fn next(&mut self, available: u32) -> Result<u32, RingError> {
        let (head, mut header) = (self.head, [0; FRAME_HEADER_BYTES as usize]);
        self.read(head, &mut header);
        let [a, b, c, d, e, f, g, h] = header;
        let (length, expected) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let total = match frame_bytes(length as usize, self.span.data_bytes) {
            Some(total) if total <= available => total,
            _ => return Err(RingError::BadLength { head, length, available }),
        };
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length as usize, 0);
        self.read(head.wrapping_add(FRAME_HEADER_BYTES), &mut payload);
        if frame_checksum(head, &payload) != expected {
            return Err(RingError::BadChecksum { head, length });
        }
        self.payload = payload;
        self.head = head.wrapping_add(total);
        Ok(total)
    }

    fn tell_head(&mut self) {
        if self.told_head != self.head {
            self.told_head = self.head;
            self.region.store(self.span.offset + AT_HEAD, self.head);
        }
    }

    fn remember<T>(&mut self, result: Result<T, RingError>) -> Result<T, RingError> {
        self.broken = result.as_ref().err().cloned();
        result
    }

    fn read(&self, position: u32, into: &mut [u8]) {
        let (at, until_end) = self.span.place(position);
        let (front, back) = into.split_at_mut(into.len().min(until_end));
        self.region.read(at, front);
        self.region.read(self.span.data(), back);
    }
}
