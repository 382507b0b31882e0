//! The body of a worker process. It runs between `fork` and `_exit`, so it neither allocates nor takes locks.

use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::shared::Slot;
use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Rounds of computation in a unit of work: some tens of microseconds, so that a gap is timed that finely and reading
/// the clock costs nothing beside it.
const ROUNDS_PER_UNIT: u32 = 1024;

/// Computes until told to stop, and keeps the books in `slot`.
pub(crate) fn cpu_spin(slot: &Slot, seed: u64) {
    let mut state = seed | 1;
    let mut last_ns = monotonic_ns();
    let mut cpu = current_cpu();
    slot.cpu.store(cpu, Relaxed);
    slot.last_ns.store(last_ns, Relaxed);
    slot.started_ns.store(last_ns, Release);
    while !slot.stop.load(Acquire) {
        state = unit(state);
        let now_ns = monotonic_ns();
        if now_ns - last_ns > slot.gap_length_ns.load(Relaxed) {
            slot.gap_length_ns.store(now_ns - last_ns, Relaxed);
            slot.gap_from_ns.store(last_ns, Relaxed);
            slot.gap_cpu.store(cpu, Relaxed);
        }
        last_ns = now_ns;
        slot.last_ns.store(now_ns, Relaxed);
        slot.work_units.fetch_add(1, Relaxed);
        let here = current_cpu();
        if here != cpu {
            cpu = here;
            slot.migrations.fetch_add(1, Relaxed);
            slot.cpu.store(cpu, Relaxed);
        }
    }
    black_box(state);
    slot.cpu_time_ns.store(process_cpu_ns(), Release);
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
