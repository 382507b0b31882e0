//! A worker's life over time, in as much memory as there is.

use crate::report::{Progress, RunSegment};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// Most stretches of progress that are kept; when they are full, they become twice as long.
const STRETCHES: usize = 128;
/// Length of the first stretches.
const FIRST_STRETCH_NS: u64 = 10_000_000;
/// A worker that was not seen for this long did not run all that time; shorter gaps lie within its stretches of running.
const FIRST_PAUSE_NS: u64 = 1_000_000;
/// How often the pause may double: to minutes.
const MAX_DOUBLINGS: u64 = 20;
/// Most stretches of running that are kept.
const RUNS: usize = 1024;

/// Iterations at the end of each stretch since the common start. For one writer.
#[derive(Debug)]
pub(crate) struct Marks {
    /// How often the stretches became longer. Its parity says which copy is current.
    doublings: AtomicU64,
    copies: [MarkCopy; 2],
}

#[derive(Debug)]
struct MarkCopy {
    filled: AtomicU64,
    iterations: [AtomicU64; STRETCHES],
}

impl Marks {
    /// The worker had done this many iterations when `since_start_ns` was reached. Returns when to come again.
    pub(crate) fn set(&self, since_start_ns: u64, iterations: u64) -> u64 {
        loop {
            let doublings = self.doublings.load(Relaxed);
            let (stretch_ns, copy) = (FIRST_STRETCH_NS << doublings, &self.copies[doublings as usize % 2]);
            let over = since_start_ns / stretch_ns;
            let filled = copy.filled.load(Relaxed);
            (filled..over.min(STRETCHES as u64)).for_each(|at| copy.iterations[at as usize].store(iterations, Relaxed));
            copy.filled.store(filled.max(over.min(STRETCHES as u64)), Release);
            if over < STRETCHES as u64 {
                return (over + 1) * stretch_ns;
            }
            self.double(doublings);
        }
    }

    fn double(&self, doublings: u64) {
        fence(Release);
        let (from, to) = (&self.copies[doublings as usize % 2], &self.copies[(doublings + 1) as usize % 2]);
        for (pair, mark) in from.iterations.chunks_exact(2).zip(&to.iterations) {
            mark.store(pair[1].load(Relaxed), Relaxed);
        }
        to.filled.store(STRETCHES as u64 / 2, Relaxed);
        self.doublings.store(doublings + 1, Release);
    }

    /// The stretches that are over `since_start_ns` after the start, for a worker that has done `iterations` by then.
    pub(crate) fn get(&self, since_start_ns: u64, iterations: u64) -> Progress {
        let (stretch_ns, mut marks) = self.current();
        // What it did since the last mark it did in the stretch after that; then it was not seen any more.
        marks.resize((since_start_ns / stretch_ns) as usize, iterations);
        let each = std::iter::once(&0).chain(&marks).zip(&marks).map(|(before, mark)| mark.saturating_sub(*before));
        Progress { stretch_ns, iterations: each.map(|count| u32::try_from(count).unwrap_or(u32::MAX)).collect() }
    }

    fn current(&self) -> (u64, Vec<u64>) {
        loop {
            let doublings = self.doublings.load(Acquire);
            let copy = &self.copies[doublings as usize % 2];
            let filled = copy.filled.load(Acquire) as usize;
            let marks = copy.iterations.iter().take(filled).map(|mark| mark.load(Relaxed)).collect();
            fence(Acquire);
            if self.doublings.load(Relaxed) == doublings {
                return (FIRST_STRETCH_NS << doublings, marks);
            }
        }
    }
}

/// When a worker ran where. For one writer.
///
/// Stretches that are apart by no more than the pause are one. When the memory is full, the pause becomes as long as it
/// must to bring them down to half as many; those that changes of CPU part stay apart, and if there are too many of them,
/// what comes later is only counted.
#[derive(Debug)]
pub(crate) struct Runs {
    begun: AtomicU64,
    doublings: AtomicU64,
    /// Until when the worker was seen in the stretch that began last.
    seen_ns: AtomicU64,
    segments: [Segment; RUNS],
}

#[derive(Debug)]
struct Segment {
    cpu: AtomicU64,
    from_ns: AtomicU64,
    to_ns: AtomicU64,
}

impl Segment {
    fn get(&self) -> (u64, u64, u64) {
        (self.cpu.load(Relaxed), self.from_ns.load(Relaxed), self.to_ns.load(Relaxed))
    }

    fn set(&self, (cpu, from_ns, to_ns): (u64, u64, u64)) {
        self.cpu.store(cpu, Relaxed);
        self.from_ns.store(from_ns, Relaxed);
        self.to_ns.store(to_ns, Relaxed);
    }
}

impl Runs {
    /// The worker runs on this CPU from `from_ns` on. Returns the pause.
    pub(crate) fn begin(&self, cpu: u64, from_ns: u64) -> u64 {
        let mut begun = self.begun.load(Relaxed) as usize;
        if let Some(segment) = self.segments.get(begun.wrapping_sub(1)) {
            segment.to_ns.store(self.seen_ns.load(Relaxed), Relaxed);
        }
        if begun == RUNS {
            begun = self.thin_out();
        }
        if let Some(segment) = self.segments.get(begun) {
            segment.set((cpu, from_ns, from_ns));
        }
        self.seen_ns.store(from_ns, Relaxed);
        self.begun.store(begun as u64 + 1, Release);
        FIRST_PAUSE_NS << self.doublings.load(Relaxed)
    }

    /// It still runs there.
    pub(crate) fn go_on(&self, to_ns: u64) {
        self.seen_ns.store(to_ns, Relaxed);
    }

    /// Joins stretches until half of the memory is free, as far as that goes. Returns how many are left.
    fn thin_out(&self) -> usize {
        // Who looks meanwhile, because the worker does not get to go on, sees none rather than some twice.
        self.begun.store(0, Release);
        fence(Release);
        let (mut left, mut doublings) = (RUNS, self.doublings.load(Relaxed));
        while left > RUNS / 2 && doublings < MAX_DOUBLINGS {
            doublings += 1;
            left = self.join(left, FIRST_PAUSE_NS << doublings);
        }
        self.doublings.store(doublings, Relaxed);
        left
    }

    fn join(&self, count: usize, pause_ns: u64) -> usize {
        let (mut left, mut last) = (0, self.segments[0].get());
        for segment in &self.segments[1..count] {
            let (cpu, from_ns, to_ns) = segment.get();
            if cpu == last.0 && from_ns - last.2 <= pause_ns {
                last.2 = to_ns;
            } else {
                self.segments[left].set(last);
                (left, last) = (left + 1, (cpu, from_ns, to_ns));
            }
        }
        self.segments[left].set(last);
        left + 1
    }

    /// Those that were kept, and how many were not.
    pub(crate) fn get(&self) -> (Vec<RunSegment>, u64) {
        let begun = self.begun.load(Acquire);
        let last = begun.wrapping_sub(1);
        let kept = (0..).zip(&self.segments).take(begun as usize).map(|(at, segment)| {
            let (cpu, from_ns, to_ns) = segment.get();
            let to_ns = if at == last { self.seen_ns.load(Relaxed) } else { to_ns };
            RunSegment { cpu: cpu as u32, from_ns, length_ns: to_ns.saturating_sub(from_ns) }
        });
        (kept.collect(), begun.saturating_sub(RUNS as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{Shared, Slot};

    #[test]
    fn progress_adds_up_however_long_it_takes() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let mut random = fastrand::Rng::with_seed(5);
        let (mut now_ns, mut iterations, mut next_ns) = (0, 0, 0);
        while now_ns < 100 * FIRST_STRETCH_NS * STRETCHES as u64 {
            now_ns += random.u64(..FIRST_STRETCH_NS * 20);
            if now_ns >= next_ns {
                next_ns = slots[0].marks.set(now_ns, iterations);
                assert!(next_ns > now_ns);
            }
            let progress = slots[0].marks.get(now_ns, iterations);
            assert!(progress.iterations.len() <= STRETCHES);
            assert_eq!(progress.iterations.len() as u64, now_ns / progress.stretch_ns);
            assert!(progress.iterations.iter().map(|count| u64::from(*count)).sum::<u64>() <= iterations);
            iterations += random.u64(..10);
        }
    }

    #[test]
    fn a_worker_that_stops_makes_no_more_progress() {
        let slots = Shared::<Slot>::new(1).unwrap();
        slots[0].marks.set(2 * FIRST_STRETCH_NS + 1, 6);
        let progress = slots[0].marks.get(5 * FIRST_STRETCH_NS, 7);
        assert_eq!((progress.stretch_ns, progress.iterations), (FIRST_STRETCH_NS, vec![6, 0, 1, 0, 0]));
    }

    #[test]
    fn runs_become_coarser_when_there_is_no_more_room() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let runs = &slots[0].runs;
        let mut random = fastrand::Rng::with_seed(9);
        let (mut now_ns, mut pause_ns, mut cpu, mut ran_ns) = (0, runs.begin(0, 0), 0, 0);
        for _ in 0..3 * RUNS {
            now_ns += random.u64(..FIRST_PAUSE_NS) << random.u32(..10);
            let (length_ns, moves) = (random.u64(..FIRST_PAUSE_NS), random.u64(..100) == 0);
            if moves || now_ns - ran_ns > pause_ns {
                cpu = if moves { cpu + 1 } else { cpu };
                pause_ns = runs.begin(cpu, now_ns);
            }
            now_ns += length_ns;
            runs.go_on(now_ns);
            ran_ns = now_ns;
        }
        let (kept, dropped) = runs.get();
        assert!(dropped == 0 && kept.len() <= RUNS && kept.len() > RUNS / 8, "{}, {dropped}", kept.len());
        assert_eq!((kept[0].from_ns, u64::from(kept[kept.len() - 1].cpu)), (0, cpu));
        let ends = |run: &RunSegment| run.from_ns + run.length_ns;
        assert_eq!(ends(&kept[kept.len() - 1]), now_ns);
        assert!(kept.windows(2).all(|two| ends(&two[0]) <= two[1].from_ns));
        assert!(kept.windows(2).all(|two| two[0].cpu != two[1].cpu || two[1].from_ns - ends(&two[0]) > pause_ns / 2));
    }

    #[test]
    fn runs_that_cannot_be_joined_are_counted() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let runs = &slots[0].runs;
        for number in 0..RUNS as u64 + 3 {
            runs.begin(number % 4, number * 10);
            runs.go_on(number * 10 + 5);
        }
        let (kept, dropped) = runs.get();
        assert_eq!((kept.len(), dropped), (RUNS, 3));
        assert_eq!(kept[6], RunSegment { cpu: 2, from_ns: 60, length_ns: 5 });
        assert_eq!(kept[RUNS - 1].length_ns, 5);
    }
}
