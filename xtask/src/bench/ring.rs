//! The ring against memcpy on the host, and against COM2 in a guest.

use super::row::Row;
use super::steady::{Bed, CHANNELS, PROGRAM};
use anyhow::{Context, Result, ensure};
use ktstr_cli::setup::{self, Group};
use ktstr_vmm::layout::RamLayout;
use ktstr_vmm::{Backing, GuestRam, RamRegion};
use ktstr_wire::ring::{Consumer, Producer};
use ktstr_wire::{Node, Region, Reserved};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// The agent's usual frame, and a small one.
const FRAME_BYTES: [usize; 2] = [32 << 10, 64];
/// Payload of one pass, which fits the ring.
const PASS_BYTES: usize = 4 << 20;
const PASSES: u32 = 4;
/// Times that a frame goes there and back.
const TRIPS: u32 = 5_000;

const RAM_BYTES: u64 = 512 << 20;
const RESERVED_BYTES: u64 = 64 << 20;

type Ends = (Producer<RamRegion>, Consumer<RamRegion>);

/// Measures.
///
/// # Errors
/// When there is no memory, or the guest does not run.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let mut rows = Vec::new();
    for frame_bytes in FRAME_BYTES {
        rows.extend(throughput(frame_bytes, rounds)?);
    }
    rows.push(latency(rounds)?);
    rows.push(channels(rounds)?);
    Ok(rows)
}

/// The rings of a machine of ours.
fn reserved() -> Result<(GuestRam, Reserved<RamRegion>)> {
    let node = Node { llcs: 1, memory_bytes: RAM_BYTES };
    let layout = RamLayout::new(&[RAM_BYTES], RESERVED_BYTES)?;
    let ram = GuestRam::new(layout, &[node], Backing::SharedFiles)?;
    let reserved = Reserved::format(ram.reserved()?)?;
    Ok((ram, reserved))
}

/// What each end takes for frames of this size, and what copying takes.
fn throughput(frame_bytes: usize, rounds: u32) -> Result<Vec<Row>> {
    let (ram, reserved) = reserved()?;
    let region = ram.reserved()?;
    let mut ends = (reserved.bulk_out()?, reserved.bulk_in()?);
    let (mut push, mut drain, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    pass(&mut ends, frame_bytes)?;
    for _ in 0..rounds {
        let (mut push_us, mut drain_us) = (0.0, 0.0);
        for _ in 0..PASSES {
            let (pushed_us, drained_us) = pass(&mut ends, frame_bytes)?;
            push_us += pushed_us;
            drain_us += drained_us;
        }
        push.push(per_mib(push_us));
        drain.push(per_mib(drain_us));
        copy.push(per_mib((0..PASSES).map(|_| copy_us(&region, frame_bytes)).sum()));
    }
    let name = |what| format!("ring: {what} frames of {frame_bytes} bytes");
    let row = |what, values: &[f64]| Row::new(name(what), "µs/MiB", values).against("copying as much", &copy);
    Ok(vec![row("push", &push), row("drain", &drain)])
}

fn per_mib(us: f64) -> f64 {
    us / f64::from(PASSES) / (PASS_BYTES >> 20) as f64
}

/// Pushes and drains what fits; tells the microseconds of either.
fn pass((producer, consumer): &mut Ends, frame_bytes: usize) -> Result<(f64, f64)> {
    let payload = vec![7; frame_bytes];
    let began = Instant::now();
    for _ in 0..PASS_BYTES / frame_bytes {
        ensure!(producer.push(&payload)?, "the ring is full");
    }
    let pushed = Instant::now();
    let mut frames = 0;
    consumer.drain(|frame| {
        black_box(frame);
        frames += 1;
    })?;
    ensure!(frames == PASS_BYTES / frame_bytes, "{frames} frames came out");
    Ok(((pushed - began).as_secs_f64() * 1e6, pushed.elapsed().as_secs_f64() * 1e6))
}

/// Copies as much out of the same memory, in the same pieces.
fn copy_us(region: &RamRegion, frame_bytes: usize) -> f64 {
    let mut into = vec![0; frame_bytes];
    let began = Instant::now();
    for piece in 0..PASS_BYTES / frame_bytes {
        region.read(piece * frame_bytes, &mut into);
        black_box(&into);
    }
    began.elapsed().as_secs_f64() * 1e6
}

/// A frame from one thread to another and back, against a word.
fn latency(rounds: u32) -> Result<Row> {
    let (_ram, reserved) = reserved()?;
    let (mut there, mut back) =
        ((reserved.orders_out()?, reserved.orders_in()?), (reserved.bulk_out()?, reserved.bulk_in()?));
    let (mut ours, mut word) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(trip_us(
            || send(&mut there.0),
            || receive(&mut there.1),
            || send(&mut back.0),
            || receive(&mut back.1),
        ));
        let words = [AtomicU32::new(0), AtomicU32::new(0)];
        let give = |word: &AtomicU32| word.store(1, Ordering::Release);
        let take = |word: &AtomicU32| word.swap(0, Ordering::Acquire) == 1;
        let [a, b] = &words;
        word.push(trip_us(|| give(a), || take(a), || give(b), || take(b)));
    }
    Ok(Row::new("ring: 64 bytes to a thread and back", "µs", &ours).against("a word", &word))
}

fn send(producer: &mut Producer<RamRegion>) {
    // There is room: no more than one frame is under way.
    let _ = producer.push(&[1; 64]);
}

fn receive(consumer: &mut Consumer<RamRegion>) -> bool {
    consumer.pop().is_ok_and(|frame| frame.is_some())
}

fn trip_us(
    mut there: impl FnMut(),
    mut arrived: impl FnMut() -> bool + Send,
    mut back: impl FnMut() + Send,
    mut returned: impl FnMut() -> bool,
) -> f64 {
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..TRIPS {
                wait(&mut arrived);
                back();
            }
        });
        for _ in 0..TRIPS {
            there();
            wait(&mut returned);
        }
    });
    began.elapsed().as_secs_f64() * 1e6 / f64::from(TRIPS)
}

/// Spins, as the other may answer at once, and gives way, as it may need this very CPU.
fn wait(mut done: impl FnMut() -> bool) {
    let mut tries = 0u32;
    while !done() {
        tries += 1;
        if tries.is_multiple_of(100) { std::thread::yield_now() } else { spin_loop() }
    }
}

/// Guest time of a KiB by either way, as the guest says.
fn channels(rounds: u32) -> Result<Row> {
    let bed = Bed::prepare(PROGRAM)?;
    let (mut ring, mut control) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (_, record) = bed.run(CHANNELS, "tcg")?;
        let figure =
            |key: &str| -> Option<f64> { record.guest.output.rsplit_once(key)?.1.lines().next()?.parse().ok() };
        ring.push(figure("ring_ns_per_kib=").context("the guest told no figure for the ring")? / 1e3);
        control.push(figure("com2_ns_per_kib=").context("the guest told no figure for COM2")? / 1e3);
    }
    Ok(Row::new("ring: standard output to the host, guest time", "µs/KiB", &ring).against("COM2", &control))
}
