//! Waiting for the other side by looking at its count, for a while, before going to sleep: to wake a thread on a CPU that is
//! idle takes longer than most callbacks. The plugin is compiled with this file too.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Looks between two looks at the clock.
const LOOKS: u32 = 32;

/// Who looks at the clock so long after the last time did not run meanwhile: somebody else wants this CPU, and may be the one
/// that is waited for.
const LOST_NS: u64 = 40_000;

/// Looking is left out less than two to this power times in a row.
const MAX_SKIPS_LOG2: u32 = 9;

/// What looking was good for so far. A host that has no CPU for it makes it in vain, and it keeps others from theirs: it is
/// left out ever more often.
#[derive(Debug)]
pub(crate) struct Looks {
    /// How often in a row it was in vain.
    vain: AtomicU32,
    /// How often it is left out from now on.
    skips: AtomicU32,
}

impl Looks {
    pub(crate) const fn new() -> Self {
        Self { vain: AtomicU32::new(0), skips: AtomicU32::new(0) }
    }

    /// Looks until it is there, or for so many nanoseconds of the clock, or but once; says whether it is there.
    pub(crate) fn look(&self, at_most_ns: u64, clock: impl Fn() -> u64, is_there: impl Fn() -> bool) -> bool {
        if is_there() {
            return true;
        }
        let skips = self.skips.load(Relaxed);
        if skips > 0 {
            self.skips.store(skips - 1, Relaxed);
            return false;
        }
        let begin = clock();
        let mut last = begin;
        loop {
            let seen = (0..LOOKS).any(|_| {
                core::hint::spin_loop();
                is_there()
            });
            let now = clock();
            let lost = now.wrapping_sub(last) > LOST_NS;
            last = now;
            if seen && !lost {
                self.vain.store(0, Relaxed);
                return true;
            }
            if seen || lost || now.wrapping_sub(begin) > at_most_ns {
                self.was_in_vain();
                return seen;
            }
        }
    }

    /// It would be, or was, in vain.
    pub(crate) fn was_in_vain(&self) {
        let before = self.vain.load(Relaxed).min(MAX_SKIPS_LOG2);
        self.vain.store(before + 1, Relaxed);
        self.skips.store((1 << before) - 1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    const AT_MOST_NS: u64 = 10_000;

    /// Looks for what is there after so many looks, with a clock that goes on by so much each time. Says whether it was seen,
    /// and the looks.
    fn look(looks: &Looks, there_after: u32, step_ns: u64) -> (bool, u32) {
        let (now, count) = (Cell::new(0), Cell::new(0));
        let clock = || now.replace(now.get() + step_ns);
        let is_there = || count.replace(count.get() + 1) >= there_after;
        (looks.look(AT_MOST_NS, clock, is_there), count.get())
    }

    /// How often looking is left out before it is tried again.
    fn skips(looks: &Looks) -> usize {
        (0..).find(|_| look(looks, u32::MAX, 1000).1 > 1).unwrap()
    }

    #[test]
    fn it_is_looked_for_as_long_as_allowed() {
        let looks = Looks::new();
        assert_eq!(look(&looks, 0, 1000), (true, 1));
        assert_eq!(look(&looks, 300, 1000), (true, 301));
        // The first look at the clock says 0, and the eleventh after it 11 µs.
        assert_eq!(look(&looks, u32::MAX, 1000), (false, 1 + 11 * LOOKS));
    }

    #[test]
    fn what_is_in_vain_is_left_out_ever_more_often() {
        let looks = Looks::new();
        let all: Vec<_> = (0..12).map(|_| skips(&looks)).collect();
        assert_eq!(all, [0, 0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 511]);
    }

    #[test]
    fn it_is_looked_for_again_once_it_was_seen() {
        let looks = Looks::new();
        (0..4).for_each(|_| looks.was_in_vain());
        assert_eq!((0..7).map(|_| look(&looks, u32::MAX, 1000).1).collect::<Vec<_>>(), [1; 7]);
        assert_eq!(look(&looks, 5, 1000), (true, 6));
        assert_eq!(skips(&looks), 0);
    }

    #[test]
    fn who_does_not_run_looks_in_vain_whatever_is_there_then() {
        let looks = Looks::new();
        assert_eq!(look(&looks, 5, LOST_NS + 1), (true, 6));
        assert_eq!(look(&looks, u32::MAX, LOST_NS + 1), (false, 1 + LOOKS));
        assert_eq!(skips(&looks), 1);
    }
}
