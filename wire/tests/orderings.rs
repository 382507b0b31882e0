//! Every order in which two threads can run the ring's code, as loom explores it: the memory model included.

#![allow(clippy::unwrap_used, clippy::panic)]

use ktstr_wire::Region;
use ktstr_wire::ring::{Consumer, Producer, Span, format};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

const SPAN: Span = Span { offset: 0, data_bytes: 64 };
const CONTROL_BYTES: usize = ktstr_wire::ring::CONTROL_BYTES;

/// Orders of loads and stores.
type Orders = (Ordering, Ordering);

/// As [`MappedRegion`](ktstr_wire::MappedRegion) has them.
const OURS: Orders = (Ordering::Acquire, Ordering::Release);

/// Control words that are atomic, and data in cells of 8 bytes that complain when a write meets another access.
#[derive(Clone)]
struct Model {
    words: Arc<[AtomicU32; 6]>,
    data: Arc<Vec<UnsafeCell<[u8; 8]>>>,
    orders: Orders,
}

// SAFETY: what loom checks is just that accesses of the cells from several threads don't meet.
unsafe impl Send for Model {}
// SAFETY: as for Send.
unsafe impl Sync for Model {}

impl Model {
    fn new(orders: Orders) -> Self {
        let data = (0..SPAN.data_bytes / 8).map(|_| UnsafeCell::new([0; 8])).collect();
        Self { words: Arc::new(std::array::from_fn(|_| AtomicU32::new(0))), data: Arc::new(data), orders }
    }

    /// The words that the ring uses: three of the header, and one in each other line.
    fn word(&self, offset: usize) -> &AtomicU32 {
        match offset {
            0 | 4 | 8 => &self.words[offset / 4],
            _ => &self.words[2 + offset / 64],
        }
    }

    /// Cell, place in it and place in a buffer of each byte of a range.
    fn bytes(&self, offset: usize, len: usize) -> impl Iterator<Item = (&UnsafeCell<[u8; 8]>, usize, usize)> {
        (0..len).map(move |at| (offset - CONTROL_BYTES + at, at)).map(|(from, at)| (&self.data[from / 8], from % 8, at))
    }
}

impl Region for Model {
    fn len_bytes(&self) -> usize {
        SPAN.len_bytes()
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        for (cell, place, at) in self.bytes(offset, into.len()) {
            // SAFETY: loom fails the test when another thread writes meanwhile.
            into[at] = cell.with(|bytes| unsafe { (*bytes)[place] });
        }
    }

    fn write(&self, offset: usize, from: &[u8]) {
        for (cell, place, at) in self.bytes(offset, from.len()) {
            // SAFETY: loom fails the test when another thread reads or writes meanwhile.
            cell.with_mut(|bytes| unsafe { (*bytes)[place] = from[at] });
        }
    }

    fn load(&self, offset: usize) -> u32 {
        self.word(offset).load(self.orders.0)
    }

    fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, self.orders.1);
    }
}

/// Two frames that share no room with a third, so that the producer must see the consumer's position for that one.
const FRAMES: [&[u8]; 3] = [&[1; 24], &[2; 24], &[3; 24]];

fn explore(orders: Orders) {
    loom::model(move || {
        let region = Model::new(orders);
        format(&region, SPAN).unwrap();
        let mut producer = Producer::new(region.clone(), SPAN).unwrap();
        let mut consumer = Consumer::new(region, SPAN).unwrap();
        let pushing =
            thread::spawn(move || FRAMES.into_iter().take_while(|frame| producer.push(frame).unwrap()).count());
        let mut seen = Vec::new();
        for _ in 0..2 {
            consumer.drain(|frame| seen.push(frame.to_vec())).unwrap();
        }
        let pushed = pushing.join().unwrap();
        consumer.drain(|frame| seen.push(frame.to_vec())).unwrap();
        assert!(pushed >= 2 && seen == FRAMES[..pushed]);
    });
}

#[test]
fn no_order_loses_or_mixes_frames() {
    explore(OURS);
}

/// The model can fail: with weaker loads and stores it does.
#[test]
#[should_panic(expected = "Causality violation")]
fn weaker_orders_are_found_out() {
    explore((Ordering::Relaxed, Ordering::Relaxed));
}
