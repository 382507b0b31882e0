//! The ring against a model, and against memory that somebody else writes to.

use super::*;
use crate::region::MappedRegion;
use crate::region::tests::Owned;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

const SPAN: Span = Span { offset: 64, data_bytes: 256 };
const REGION_BYTES: usize = 64 + SPAN.len_bytes();

type Ends = (Producer<MappedRegion>, Consumer<MappedRegion>);

fn ring_at(position: u32) -> (Owned, Ends) {
    let owned = Owned::new(REGION_BYTES);
    format(&owned.region(), SPAN).unwrap();
    owned.region().store(SPAN.offset + AT_TAIL, position);
    owned.region().store(SPAN.offset + AT_HEAD, position);
    let ends = (Producer::new(owned.region(), SPAN).unwrap(), Consumer::new(owned.region(), SPAN).unwrap());
    (owned, ends)
}

fn set(owned: &Owned, at: usize, value: u32) {
    owned.region().store(SPAN.offset + at, value);
}

fn word(owned: &Owned, at: usize) -> u32 {
    owned.region().load(SPAN.offset + at)
}

fn drained(consumer: &mut Consumer<MappedRegion>) -> Result<Vec<Vec<u8>>, RingError> {
    let mut frames = Vec::new();
    consumer.drain(|frame| frames.push(frame.to_vec())).map(|()| frames)
}

#[test]
fn refuses_spans_that_do_not_fit() {
    let owned = Owned::new(1024);
    for (offset, data_bytes) in [(1, 256), (64, 255), (64, 1024), (usize::MAX - 63, 256), (0, 32)] {
        let span = Span { offset, data_bytes };
        assert!(format(&owned.region(), span).is_err(), "{span:?}");
        assert!(Consumer::new(owned.region(), span).is_err(), "{span:?}");
        assert!(Producer::new(owned.region(), span).is_err(), "{span:?}");
    }
}

#[test]
fn both_ends_check_the_header() {
    for (at, what) in [(AT_MAGIC, "magic"), (AT_VERSION, "version"), (AT_DATA_BYTES, "size")] {
        let (owned, (mut producer, mut consumer)) = ring_at(0);
        while producer.push(&[1; 24]).unwrap() {}
        set(&owned, at, 77);
        let said = |error: RingError| assert!(error.to_string().contains(&format!("its {what} is 0x4d")), "{error}");
        said(Producer::new(owned.region(), SPAN).unwrap_err());
        said(Consumer::new(owned.region(), SPAN).unwrap_err());
        said(consumer.pop().unwrap_err());
        said(producer.push(&[1; 24]).unwrap_err());
    }
}

#[test]
fn says_when_it_is_full_and_goes_on_after() {
    let (_owned, (mut producer, mut consumer)) = ring_at(0);
    assert!(producer.push(&[1; 200]).unwrap());
    assert!(!producer.push(&[2; 200]).unwrap());
    producer.count_dropped();
    assert_eq!(consumer.pop().unwrap().unwrap(), [1; 200]);
    assert!(producer.push(&[3; 200]).unwrap());
    assert_eq!(consumer.pop().unwrap().unwrap(), [3; 200]);
    assert_eq!(consumer.pop().unwrap(), None);
    assert_eq!(consumer.dropped(), 1);
    assert!(!producer.can_ever_hold(249) && producer.can_ever_hold(248));
    assert!(!producer.push(&[0; 249]).unwrap());
}

#[test]
fn the_count_of_dropped_frames_neither_wraps_nor_shrinks() {
    let (owned, (_, mut consumer)) = ring_at(0);
    set(&owned, AT_DROPPED, u32::MAX);
    let mut producer = Producer::new(owned.region(), SPAN).unwrap();
    producer.count_dropped();
    assert_eq!(consumer.pop().unwrap(), None);
    assert_eq!(consumer.dropped(), u32::MAX);
    set(&owned, AT_DROPPED, 3);
    assert_eq!(consumer.pop(), Err(RingError::BadDropped { before: u32::MAX, now: 3 }));
    assert_eq!(consumer.dropped(), u32::MAX);
}

#[test]
fn impossible_positions_are_refused() {
    for tail in [4, 12, 264, u32::MAX - 7] {
        let (owned, (_, mut consumer)) = ring_at(0);
        set(&owned, AT_TAIL, tail);
        assert!(matches!(consumer.pop(), Err(RingError::BadPositions { .. })), "{tail}");
    }
    for head in [4, 128, u32::MAX - 7] {
        let (owned, (mut producer, _)) = ring_at(0);
        for _ in 0..4 {
            assert!(producer.push(&[0; 24]).unwrap());
        }
        set(&owned, AT_HEAD, head);
        let pushed = producer.push(&[0; 200]);
        let ahead = head == 128;
        assert_eq!(pushed.is_err(), !ahead, "{head}: {pushed:?}");
    }
}

#[test]
fn a_head_that_moves_back_is_refused() {
    let (owned, (mut producer, mut consumer)) = ring_at(0);
    assert!(producer.push(&[0; 120]).unwrap() && producer.push(&[0; 120]).unwrap());
    assert!(consumer.pop().unwrap().is_some());
    assert!(producer.push(&[0; 120]).unwrap());
    set(&owned, AT_HEAD, 0);
    assert!(matches!(producer.push(&[0; 120]), Err(RingError::BadPositions { .. })));
}

#[test]
fn a_frame_of_an_earlier_lap_never_passes() {
    let (owned, (mut producer, mut consumer)) = ring_at(0);
    assert!(producer.push(&[9; 248]).unwrap());
    assert!(consumer.pop().unwrap().is_some());
    // The whole ring is one good frame, and only its position says that it is an old one.
    set(&owned, AT_TAIL, 512);
    assert_eq!(consumer.pop(), Err(RingError::BadChecksum { head: 256, length: 248 }));
    // A ring that was found corrupt stays so.
    set(&owned, AT_TAIL, 256);
    assert_eq!(consumer.pop(), Err(RingError::BadChecksum { head: 256, length: 248 }));
    assert_eq!(drained(&mut consumer), Err(RingError::BadChecksum { head: 256, length: 248 }));
}

#[test]
fn a_frame_from_another_place_never_passes() {
    let (owned, (mut producer, mut consumer)) = ring_at(0);
    assert!(producer.push(b"one").unwrap() && producer.push(b"two").unwrap());
    let mut second = [0; 16];
    owned.region().read(SPAN.data() + 16, &mut second);
    owned.region().write(SPAN.data(), &second);
    assert_eq!(consumer.pop(), Err(RingError::BadChecksum { head: 0, length: 3 }));
}

#[test]
fn draining_ends_however_fast_the_producer_is() {
    let (_owned, (mut producer, mut consumer)) = ring_at(0);
    assert!(producer.push(&[0; 24]).unwrap());
    let mut frames = 0u32;
    consumer
        .drain(|_| {
            frames += 1;
            assert!(producer.push(&[0; 24]).unwrap());
        })
        .unwrap();
    assert_eq!(frames, 1);
}

#[test]
fn a_waiting_producer_is_told_before_all_is_drained() {
    let (owned, (mut producer, mut consumer)) = ring_at(0);
    while producer.push(&[0; 24]).unwrap() {}
    let mut heads = Vec::new();
    consumer.drain(|_| heads.push(word(&owned, AT_HEAD))).unwrap();
    assert_eq!(heads, [0, 32, 64, 96, 128, 160, 192, 224]);
    assert_eq!(word(&owned, AT_HEAD), 256);
}

#[test]
fn what_is_handed_out_is_what_was_checked() {
    let (owned, (mut producer, consumer)) = ring_at(0);
    assert!(producer.push(&[1; 200]).unwrap());
    let head = word(&owned, AT_HEAD);
    let header = |payload: &[u8]| [200, frame_checksum(head, payload)];
    let stop = AtomicBool::new(false);
    drop(consumer);
    std::thread::scope(|scope| {
        // The other side changes the frame all the time, from one good frame to another good one.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for payload in [[1; 200], [2; 200]] {
                    let [length, checksum] = header(&payload);
                    owned.region().store(SPAN.data(), length);
                    owned.region().store(SPAN.data() + 4, checksum);
                    owned.region().write(SPAN.data() + 8, &payload);
                }
            }
        });
        for _ in 0..20_000 {
            owned.region().store(SPAN.offset + AT_HEAD, head);
            match Consumer::new(owned.region(), SPAN).unwrap().pop() {
                Ok(Some(payload)) if payload == [1; 200] || payload == [2; 200] => {}
                Err(RingError::BadChecksum { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn frames_cross_threads_in_order() {
    let (_owned, (mut producer, mut consumer)) = ring_at(u32::MAX - 4095);
    let frames = 20_000u32;
    let payload = |number: u32| number.to_le_bytes().repeat(1 + number as usize % 20);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..frames {
                while !producer.push(&payload(number)).unwrap() {
                    std::thread::yield_now();
                }
            }
        });
        let mut number = 0;
        while number < frames {
            consumer
                .drain(|frame| {
                    assert_eq!(frame, payload(number));
                    number += 1;
                })
                .unwrap();
            std::thread::yield_now();
        }
    });
}

/// What is done to a ring.
#[derive(Debug, Clone)]
enum Step {
    Push(Vec<u8>),
    Pop,
    Drain,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..120).prop_map(Step::Push),
        3 => Just(Step::Pop),
        1 => Just(Step::Drain),
        1 => Just(Step::Drop),
    ]
}

/// Positions of all laps, those about to wrap in particular.
fn position() -> impl Strategy<Value = u32> {
    prop_oneof![any::<u32>(), (0u32..2048).prop_map(|back| 0u32.wrapping_sub(back))].prop_map(|at| at & !(ALIGN - 1))
}

/// A word of the control block, or a byte anywhere, gets this value.
#[derive(Debug, Clone)]
enum Attack {
    Word { at: usize, value: u32 },
    Byte { at: usize, value: u8 },
    Shift { at: usize, by: i32 },
}

fn attack() -> impl Strategy<Value = Attack> {
    let word = || prop::sample::select(vec![AT_MAGIC, AT_VERSION, AT_DATA_BYTES, AT_TAIL, AT_HEAD, AT_DROPPED]);
    prop_oneof![
        (word(), any::<u32>()).prop_map(|(at, value)| Attack::Word { at, value }),
        (0..REGION_BYTES, any::<u8>()).prop_map(|(at, value)| Attack::Byte { at, value }),
        (word(), -40i32..40).prop_map(|(at, by)| Attack::Shift { at, by: by * ALIGN as i32 }),
    ]
}

impl Attack {
    fn strike(&self, owned: &Owned) {
        match *self {
            Self::Word { at, value } => set(owned, at, value),
            Self::Byte { at, value } => owned.region().write(at, &[value]),
            Self::Shift { at, by } => set(owned, at, word(owned, at).wrapping_add_signed(by)),
        }
    }
}

proptest! {
    #[test]
    fn any_interleaving_is_a_queue(start in position(), steps in prop::collection::vec(step(), 0..200)) {
        let (_owned, (mut producer, mut consumer)) = ring_at(start);
        let (mut model, mut dropped) = (VecDeque::<Vec<u8>>::new(), 0);
        for step in steps {
            match step {
                Step::Push(payload) => {
                    let used: u32 = model.iter().map(|frame| frame_bytes(frame.len(), 256).unwrap()).sum();
                    let fits = used + frame_bytes(payload.len(), 256).unwrap() <= SPAN.data_bytes;
                    prop_assert_eq!(producer.push(&payload), Ok(fits));
                    if fits {
                        model.push_back(payload);
                    }
                }
                Step::Pop => prop_assert_eq!(consumer.pop(), Ok(model.pop_front())),
                Step::Drain => prop_assert_eq!(drained(&mut consumer), Ok(model.drain(..).collect())),
                Step::Drop => {
                    producer.count_dropped();
                    dropped += 1;
                }
            }
        }
        prop_assert_eq!(drained(&mut consumer), Ok(model.into()));
        prop_assert_eq!(consumer.dropped(), dropped);
    }

    #[test]
    fn hostile_memory_yields_only_what_was_pushed(
        start in position(),
        rounds in prop::collection::vec((step(), prop::option::weighted(0.2, attack())), 0..80),
    ) {
        let (owned, (mut producer, mut consumer)) = ring_at(start);
        let (mut pushed, mut popped, mut broken) = (Vec::new(), 0, false);
        for (step, attack) in rounds {
            match step {
                Step::Push(payload) => {
                    if producer.push(&payload) == Ok(true) {
                        pushed.push(payload);
                    }
                }
                Step::Drop => producer.count_dropped(),
                Step::Pop | Step::Drain => {
                    let result = consumer.drain(|frame| {
                        assert_eq!(pushed.get(popped).map(Vec::as_slice), Some(frame));
                        popped += 1;
                    });
                    prop_assert!(!broken || result.is_err());
                    broken = result.is_err();
                }
            }
            if let Some(attack) = attack {
                attack.strike(&owned);
            }
        }
    }

    #[test]
    fn noise_is_never_a_frame(
        bytes in prop::collection::vec(any::<u8>(), REGION_BYTES..=REGION_BYTES),
        used in 1u32..=32,
        start in position(),
    ) {
        let (owned, (_, mut consumer)) = ring_at(start);
        owned.region().write(SPAN.data(), &bytes[..SPAN.data_bytes as usize]);
        set(&owned, AT_TAIL, start.wrapping_add(used * ALIGN));
        prop_assert!(consumer.pop().is_err());
        owned.region().write(0, &bytes);
        prop_assert!(Consumer::new(owned.region(), SPAN).is_err());
        prop_assert!(Producer::new(owned.region(), SPAN).is_err());
    }
}
