//! A worker's books. Kept between `fork` and `_exit`, so without allocation and without locks.

use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::shared::Slot;
use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Rounds of computation in a unit of work: some tens of microseconds, so that a gap is timed that finely and reading
/// the clock costs nothing beside it.
const ROUNDS_PER_UNIT: u32 = 1024;

/// What every kind of work computes with, and books what it does in.
pub(crate) struct Meter<'a> {
    slot: &'a Slot,
    state: u64,
    last_ns: u64,
    cpu: u64,
}

impl<'a> Meter<'a> {
    /// Opens the books.
    pub(crate) fn begin(slot: &'a Slot, seed: u64) -> Self {
        let (last_ns, cpu) = (monotonic_ns(), current_cpu());
        slot.cpu.store(cpu, Relaxed);
        slot.last_ns.store(last_ns, Relaxed);
        slot.started_ns.store(last_ns, Release);
        Self { slot, state: seed | 1, last_ns, cpu }
    }

    /// Whether the worker is to go on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.slot.stop.load(Acquire)
    }

    /// Computes one unit.
    pub(crate) fn unit(&mut self) {
        self.state = unit(self.state);
        let now_ns = monotonic_ns();
        let gap_ns = now_ns - self.last_ns;
        if gap_ns > self.slot.gap_length_ns.load(Relaxed) {
            self.slot.gap_length_ns.store(gap_ns, Relaxed);
            self.slot.gap_from_ns.store(self.last_ns, Relaxed);
            self.slot.gap_cpu.store(self.cpu, Relaxed);
        }
        self.slot.work_units.fetch_add(1, Relaxed);
        self.runs_at(now_ns);
    }

    /// One round of the work is done.
    pub(crate) fn iteration(&mut self) {
        self.slot.iterations.fetch_add(1, Relaxed);
    }

    /// Closes the books.
    pub(crate) fn end(self) {
        black_box(self.state);
        self.slot.cpu_time_ns.store(process_cpu_ns(), Release);
    }

    fn runs_at(&mut self, now_ns: u64) {
        self.last_ns = now_ns;
        self.slot.last_ns.store(now_ns, Relaxed);
        let here = current_cpu();
        if here != self.cpu {
            self.cpu = here;
            self.slot.migrations.fetch_add(1, Relaxed);
            self.slot.cpu.store(here, Relaxed);
        }
    }
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
