//! What a worker books of one span of time: its whole life, or one phase.

use crate::report::Gap;
use ktstr_wire::CpuSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, fence};

/// CPUs that are told apart; those beyond are not booked.
const MAX_CPUS: usize = 512;

/// One span of time. For one writer; its parent may look at any moment.
#[derive(Debug)]
pub(crate) struct Book {
    /// Number of the phase that it is of.
    phase: AtomicU64,
    pub(crate) longest_gap: GapCell,
    pub(crate) cpus: CpuBits,
}

impl Book {
    /// Begins it anew for another phase.
    pub(crate) fn open(&self, phase: u64) {
        self.longest_gap.set(Gap::default());
        self.cpus.clear();
        self.phase.store(phase, Release);
    }

    /// Whether it is of this phase.
    pub(crate) fn is_of(&self, phase: u64) -> bool {
        self.phase.load(Acquire) == phase
    }
}

/// A gap whose parts always belong together: the writer writes the copy that is not current and then makes it so.
#[derive(Debug)]
pub(crate) struct GapCell {
    version: AtomicU64,
    copies: [[AtomicU64; 3]; 2],
}

impl GapCell {
    /// For the only writer.
    pub(crate) fn set(&self, gap: Gap) {
        let version = self.version.load(Relaxed) + 1;
        // A reader that sees a word of this copy also sees that its own version is not current any more.
        fence(Release);
        let copy = &self.copies[version as usize % 2];
        copy[0].store(gap.length_ns, Relaxed);
        copy[1].store(gap.from_ns, Relaxed);
        copy[2].store(gap.cpu.into(), Relaxed);
        self.version.store(version, Release);
    }

    /// The gap that was set last. A writer that stops anywhere does not keep it waiting.
    pub(crate) fn get(&self) -> Gap {
        loop {
            let version = self.version.load(Acquire);
            let copy = &self.copies[version as usize % 2];
            let [length_ns, from_ns, cpu] = [0, 1, 2].map(|word| copy[word].load(Relaxed));
            fence(Acquire);
            if self.version.load(Relaxed) == version {
                return Gap { length_ns, from_ns, cpu: cpu as u32 };
            }
        }
    }
}

/// A set of CPUs.
#[derive(Debug)]
pub(crate) struct CpuBits([AtomicU64; MAX_CPUS / 64]);

impl CpuBits {
    /// For the only writer.
    pub(crate) fn insert(&self, cpu: u64) {
        if let Some(word) = self.0.get(cpu as usize / 64) {
            word.store(word.load(Relaxed) | 1 << (cpu % 64), Release);
        }
    }

    fn clear(&self) {
        self.0.iter().for_each(|word| word.store(0, Relaxed));
    }

    pub(crate) fn get(&self) -> CpuSet {
        let words = self.0.iter().map(|word| word.load(Acquire)).enumerate();
        let cpus = words.flat_map(|(at, bits)| {
            (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| at as u32 * 64 + bit)
        });
        cpus.collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::report::Gap;
    use crate::shared::{Shared, Slot};
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_gap_is_never_seen_in_parts() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let (cell, done) = (&slots[0].whole.longest_gap, AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..200_000 {
                    cell.set(Gap { length_ns: number, from_ns: number * 2, cpu: number as u32 });
                }
                done.store(true, Relaxed);
            });
            while !done.load(Relaxed) {
                let gap = cell.get();
                assert_eq!((gap.from_ns, u64::from(gap.cpu)), (gap.length_ns * 2, gap.length_ns));
            }
        });
        assert_eq!(cell.get().length_ns, 199_999);
    }

    #[test]
    fn cpus_come_back_until_the_book_is_opened_anew() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let book = &slots[0].phases[1];
        assert!(!book.is_of(1));
        [0, 63, 64, 511, 512, u64::MAX].into_iter().for_each(|cpu| book.cpus.insert(cpu));
        assert_eq!(book.cpus.get().to_string(), "0,63-64,511");
        book.open(1);
        assert!(book.is_of(1) && book.cpus.get().is_empty());
    }
}
