//! A worker's books. Kept between `fork` and `_exit`, so without allocation and without locks.

use crate::clock::{monotonic_ns, thread_cpu_ns};
use crate::report::Gap;
use crate::shared::{NO_WORK, Orders, Slot};
use std::hint::black_box;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Rounds of computation in a unit of work: some microseconds of a real CPU, so that a gap is timed that finely and the
/// books cost nothing beside it.
const ROUNDS_PER_UNIT: u32 = 1536;

/// Not to be seen for as long as so many units of work take at least is a pause. Where emulated CPUs take turns, one unit
/// may take a millisecond by the clock without any.
const LONG_UNITS: u64 = 3;

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
    started_ns: u64,
    /// When it was last seen running.
    ran_ns: u64,
    cpu: u64,
    longest_gap_ns: u64,
    /// The phase that is booked, its beginning, and the longest gap in it.
    phase: u64,
    phase_from_ns: u64,
    phase_gap_ns: u64,
    /// Not to be seen for longer ends a stretch of running, if it is long beside a unit of work, too.
    pause_ns: u64,
    /// The least time that a unit of work took so far; nothing before the first one.
    unit_ns: u64,
    /// When the next mark of progress is due.
    mark_ns: u64,
    /// When what it does now is over.
    until_ns: u64,
    /// Whether it has seen that nothing is booked any more.
    closed: bool,
}

impl<'a> Meter<'a> {
    /// Opens the books. The worker has had work since the common start.
    pub(crate) fn begin(orders: &'a Orders, slot: &'a Slot, seed: u64) -> Self {
        let started_ns = orders.started_ns.load(Acquire);
        let mut meter = Self {
            orders,
            slot,
            state: seed | 1,
            random: seed,
            started_ns,
            ran_ns: started_ns,
            cpu: current_cpu(),
            longest_gap_ns: 0,
            phase: 0,
            phase_from_ns: started_ns,
            phase_gap_ns: 0,
            pause_ns: 0,
            unit_ns: 0,
            mark_ns: 0,
            until_ns: u64::MAX,
            closed: false,
        };
        let now_ns = monotonic_ns();
        meter.ran_ns = now_ns;
        meter.pause_ns = slot.runs.begin(meter.cpu, now_ns);
        meter.arrive_at(meter.cpu);
        meter.book(started_ns, now_ns);
        slot.started.store(true, Release);
        meter
    }

    /// Whether the worker is to go on with what it does.
    pub(crate) fn goes_on(&self) -> bool {
        self.ran_ns < self.until_ns && !self.orders.stop.load(Acquire)
    }

    /// Does `work` for this long by the clock: after that it is not to go on. The shortest of several such times counts.
    pub(crate) fn during<R>(&mut self, duration: Duration, work: impl FnOnce(&mut Self) -> R) -> R {
        let until_ns = self.until_ns;
        let length_ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.until_ns = self.ran_ns.saturating_add(length_ns).min(until_ns);
        let result = work(self);
        self.until_ns = until_ns;
        result
    }

    /// Computes one unit.
    pub(crate) fn unit(&mut self) {
        self.state = compute_unit(self.state);
        self.unit_of(|| {});
    }

    /// Does one unit of work of another kind, about as long as [`Meter::unit`].
    pub(crate) fn unit_of(&mut self, work: impl FnOnce()) {
        work();
        let now_ns = monotonic_ns();
        let took_ns = now_ns - self.ran_ns;
        if took_ns < self.unit_ns || self.unit_ns == 0 {
            self.unit_ns = took_ns;
        }
        self.book(self.ran_ns, now_ns);
        if !self.closed {
            add_one(&self.slot.work_units);
        }
    }

    /// One round of the work is done.
    pub(crate) fn iteration(&mut self) {
        if !self.closed {
            add_one(&self.slot.iterations);
        }
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
        let due_ns = self.slot.ready_ns.load(Acquire);
        self.book(due_ns.min(now_ns), now_ns);
        if due_ns <= now_ns && !self.closed {
            self.slot.latencies.record(now_ns - due_ns);
        }
        result
    }

    /// It ran this long after what it waited for came, by a time stamp that work types pass on by themselves, after
    /// [`Meter::wait`]: wake latency, and a gap.
    pub(crate) fn woke(&mut self, latency_ns: u64) {
        if !self.closed {
            self.slot.latencies.record(latency_ns);
            self.gap(self.ran_ns.saturating_sub(latency_ns), self.ran_ns);
        }
    }

    /// When the worker last looked at the clock (`CLOCK_MONOTONIC`).
    pub(crate) fn last_ns(&self) -> u64 {
        self.ran_ns
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
    pub(crate) fn end(mut self) {
        black_box(self.state);
        if !self.closed {
            self.close();
        }
        self.slot.ended.store(true, Release);
    }

    /// The worker runs now, and had work since `ready_ns`.
    fn book(&mut self, ready_ns: u64, now_ns: u64) {
        if self.orders.closed.load(Acquire) {
            if !self.closed {
                self.close();
            }
            self.ran_ns = now_ns;
            return;
        }
        let phase = self.orders.phase.load(Acquire);
        if phase != self.phase {
            self.turn_to(phase, ready_ns, now_ns);
        }
        self.gap(ready_ns, now_ns);
        self.run(now_ns);
        self.ran_ns = now_ns;
        if now_ns >= self.mark_ns {
            let since_start_ns = now_ns - self.started_ns;
            self.mark_ns = self.started_ns + self.slot.marks.set(since_start_ns, self.slot.iterations.load(Relaxed));
        }
        // The last: who sees this sees all that was booked up to now.
        self.slot.ready_ns.store(now_ns, Release);
    }

    /// From now on nothing is booked. What it used until here is what its report says.
    #[cold]
    fn close(&mut self) {
        self.closed = true;
        self.slot.cpu_time_ns.store(thread_cpu_ns(), Release);
    }

    /// Where it runs, and since when: after a pause at least for as long as the unit took that it comes from.
    fn run(&mut self, now_ns: u64) {
        let here = current_cpu();
        let paused = now_ns - self.ran_ns > self.pause_ns.max(LONG_UNITS * self.unit_ns);
        let moved = here != self.cpu;
        if moved {
            add_one(&self.slot.migrations);
            self.arrive_at(here);
        }
        if moved || paused {
            let from_ns = if paused { now_ns - self.unit_ns } else { self.ran_ns };
            self.pause_ns = self.slot.runs.begin(here, from_ns);
        }
        self.slot.runs.go_on(now_ns);
    }

    fn arrive_at(&mut self, cpu: u64) {
        self.cpu = cpu;
        self.slot.cpu.store(cpu, Relaxed);
        self.slot.whole.cpus.insert(cpu);
        self.slot.phases[self.phase as usize % 2].cpus.insert(cpu);
    }

    /// Begins to book another phase. The part of an open gap before its beginning belongs to the phase before it, which
    /// this worker may not have seen at all.
    #[cold]
    fn turn_to(&mut self, phase: u64, ready_ns: u64, now_ns: u64) {
        let began_ns = self.orders.phase_from_ns[phase as usize % 2].load(Acquire);
        if self.phase != phase - 1 {
            self.open(phase - 1);
        }
        self.gap(ready_ns, began_ns.min(now_ns));
        self.open(phase);
        self.slot.phases[phase as usize % 2].cpus.insert(current_cpu());
    }

    fn open(&mut self, phase: u64) {
        self.slot.phases[phase as usize % 2].open(phase);
        self.phase_from_ns = self.orders.phase_from_ns[phase as usize % 2].load(Acquire);
        (self.phase, self.phase_gap_ns) = (phase, 0);
    }

    fn gap(&mut self, from_ns: u64, to_ns: u64) {
        // The longest of a phase is never longer than the longest of all: nearly always this is all that there is to do.
        if to_ns.saturating_sub(from_ns) <= self.phase_gap_ns {
            return;
        }
        let gap = |from_ns| Gap { length_ns: to_ns.saturating_sub(from_ns), from_ns, cpu: self.cpu as u32 };
        let (whole, in_phase) = (gap(from_ns), gap(from_ns.max(self.phase_from_ns)));
        if whole.length_ns > self.longest_gap_ns {
            self.longest_gap_ns = whole.length_ns;
            self.slot.whole.longest_gap.set(whole);
        }
        if in_phase.length_ns > self.phase_gap_ns {
            self.phase_gap_ns = in_phase.length_ns;
            self.slot.phases[self.phase as usize % 2].longest_gap.set(in_phase);
        }
    }
}

/// For the only writer, for whom this is cheaper than an atomic addition.
fn add_one(count: &AtomicU64) {
    count.store(count.load(Relaxed) + 1, Relaxed);
}

/// One unit of work: divisions, each of which needs the result of the one before it. No other instruction takes a CPU so
/// long, so it is few of them: where time is counted in instructions, as some emulators do, a unit is short as well, even
/// without optimisation.
pub fn compute_unit(mut state: u64) -> u64 {
    const HIGH: u64 = 0xb504_f333_f9de_6484;
    let divisor = black_box(3);
    let mut rounds = ROUNDS_PER_UNIT;
    while rounds > 0 {
        state = (state ^ HIGH) / divisor;
        rounds -= 1;
    }
    black_box(state)
}

fn current_cpu() -> u64 {
    // SAFETY: no arguments; served by the vDSO.
    let cpu = unsafe { libc::sched_getcpu() };
    u64::try_from(cpu).unwrap_or(u64::MAX)
}
