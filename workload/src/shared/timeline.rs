//! A worker's life over time, in as much memory as there is.

use crate::report::{Progress, RunSegment};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// Most stretches of progress that are kept; when they are full, they become twice as long.
const STRETCHES: usize = 128;
/// Length of the first stretches.
const FIRST_STRETCH_NS: u64 = 10_000_000;
/// Most stretches of running that are kept.
const RUNS: usize = 512;

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
#[derive(Debug)]
pub(crate) struct Runs {
    begun: AtomicU64,
    segments: [Segment; RUNS],
}

#[derive(Debug)]
struct Segment {
    cpu: AtomicU64,
    from_ns: AtomicU64,
    to_ns: AtomicU64,
}

impl Runs {
    /// The worker runs on this CPU from `from_ns` on.
    pub(crate) fn begin(&self, cpu: u64, from_ns: u64) {
        let begun = self.begun.load(Relaxed);
        if let Some(segment) = self.segments.get(begun as usize) {
            segment.cpu.store(cpu, Relaxed);
            segment.from_ns.store(from_ns, Relaxed);
            segment.to_ns.store(from_ns, Relaxed);
        }
        self.begun.store(begun + 1, Release);
    }

    /// It still runs there.
    pub(crate) fn go_on(&self, to_ns: u64) {
        let begun = self.begun.load(Relaxed) as usize;
        if let Some(segment) = self.segments.get(begun.wrapping_sub(1)) {
            segment.to_ns.store(to_ns, Relaxed);
        }
    }

    /// Those that were kept, and how many were not.
    pub(crate) fn get(&self) -> (Vec<RunSegment>, u64) {
        let begun = self.begun.load(Acquire);
        let kept = self.segments.iter().take(begun as usize).map(|segment| {
            let from_ns = segment.from_ns.load(Relaxed);
            let length_ns = segment.to_ns.load(Relaxed).saturating_sub(from_ns);
            RunSegment { cpu: segment.cpu.load(Relaxed) as u32, from_ns, length_ns }
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
    fn runs_beyond_the_memory_are_counted() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let runs = &slots[0].runs;
        runs.go_on(7);
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
