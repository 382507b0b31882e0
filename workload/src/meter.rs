//! A worker's books. Kept between `fork` and `_exit`, so without allocation and without locks.

use crate::clock::{monotonic_ns, thread_cpu_ns};
use crate::shared::{NO_WORK, Orders, Slot};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Rounds of computation in a unit of work: some tens of microseconds, so that a gap is timed that finely and the books
/// cost nothing beside it.
const ROUNDS_PER_UNIT: u32 = 4096;

/// What every kind of work computes with, and books what it does in.
///
/// A work type is a loop: `while meter.goes_on() { … meter.iteration(); }`, in which it computes by [`Meter::unit`] and
/// blocks only within [`Meter::wait`] or [`Meter::wait_until`]. Time outside of those counts as time in which the worker
/// wants to run, so a system call that blocks outside of them is a gap.
///
/// A worker that is told to stop gets signals until it ends, and their handler has no `SA_RESTART`: each call that blocks
/// returns `EINTR` then, or what its time-out gives, and the loop's condition ends the loop.
pub(crate) struct Meter<'a> {
    orders: &'a Orders,
    slot: &'a Slot,
    state: u64,
    random: u64,
    last_ns: u64,
    longest_gap_ns: u64,
    cpu: u64,
}

impl<'a> Meter<'a> {
    /// Opens the books.
    pub(crate) fn begin(orders: &'a Orders, slot: &'a Slot, seed: u64) -> Self {
        let (last_ns, cpu) = (monotonic_ns(), current_cpu());
        slot.cpu.store(cpu, Relaxed);
        slot.ready_ns.store(last_ns, Relaxed);
        slot.started_ns.store(last_ns, Release);
        Self { orders, slot, state: seed | 1, random: seed, last_ns, longest_gap_ns: 0, cpu }
    }

    /// Whether the worker is to go on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.orders.stop.load(Acquire)
    }

    /// Computes one unit.
    pub(crate) fn unit(&mut self) {
        self.state = unit(self.state);
        add_one(&self.slot.work_units);
        let now_ns = monotonic_ns();
        self.slot.ready_ns.store(now_ns, Relaxed);
        self.runs_at(now_ns);
    }

    /// One round of the work is done.
    pub(crate) fn iteration(&mut self) {
        add_one(&self.slot.iterations);
    }

    /// Blocks in `call` by the worker's own will, until something comes of which nobody knows when: no gap. If another
    /// worker says when it came ([`Team::wakes`](crate::team::Team::wakes)), then the time from there to here is wake
    /// latency, and a gap.
    pub(crate) fn wait<R>(&mut self, call: impl FnOnce() -> R) -> R {
        self.wait_until(NO_WORK, call)
    }

    /// Blocks in `call` by the worker's own will, until `due_ns` (`CLOCK_MONOTONIC`): no gap up to then; what comes after
    /// it is wake latency, and a gap. If `call` returns earlier, that is fine.
    pub(crate) fn wait_until<R>(&mut self, due_ns: u64, call: impl FnOnce() -> R) -> R {
        self.slot.ready_ns.store(due_ns, Release);
        let result = call();
        let now_ns = monotonic_ns();
        let due_ns = self.slot.ready_ns.swap(now_ns, AcqRel);
        if due_ns <= now_ns {
            self.slot.latencies.record(now_ns - due_ns);
        }
        self.last_ns = due_ns.min(now_ns);
        self.runs_at(now_ns);
        result
    }

    /// It ran this long after what it waited for came, by a time stamp that work types pass on by themselves, after
    /// [`Meter::wait`]: wake latency, and a gap.
    pub(crate) fn woke(&mut self, latency_ns: u64) {
        self.slot.latencies.record(latency_ns);
        self.gap(self.last_ns.saturating_sub(latency_ns), self.last_ns);
    }

    /// When the worker last looked at the clock.
    pub(crate) fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// A random number below `limit`, or 0 if that is 0 (Steele, Lea and Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    pub(crate) fn random(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.random;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^= value >> 31;
        ((u128::from(value) * u128::from(limit)) >> 64) as u64
    }

    /// Closes the books.
    pub(crate) fn end(self) {
        black_box(self.state);
        self.slot.cpu_time_ns.store(thread_cpu_ns(), Release);
    }

    fn runs_at(&mut self, now_ns: u64) {
        self.gap(self.last_ns, now_ns);
        self.last_ns = now_ns;
        let here = current_cpu();
        if here != self.cpu {
            self.cpu = here;
            add_one(&self.slot.migrations);
            self.slot.cpu.store(here, Relaxed);
        }
    }

    fn gap(&mut self, from_ns: u64, to_ns: u64) {
        let length_ns = to_ns - from_ns;
        if length_ns > self.longest_gap_ns {
            self.longest_gap_ns = length_ns;
            self.slot.gap_length_ns.store(length_ns, Relaxed);
            self.slot.gap_from_ns.store(from_ns, Relaxed);
            self.slot.gap_cpu.store(self.cpu, Relaxed);
        }
    }
}

/// For the only writer, for whom this is cheaper than an atomic addition.
fn add_one(count: &AtomicU64) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

/// One unit of work: xorshift64 (Marsaglia, "Xorshift RNGs", 2003).
fn unit(mut state: u64) -> u64 {
    for _ in 0..ROUNDS_PER_UNIT {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    black_box(state)
}

fn current_cpu() -> u64 {
    // SAFETY: no arguments; served by the vDSO.
    let cpu = unsafe { libc::sched_getcpu() };
    u64::try_from(cpu).unwrap_or(u64::MAX)
}
