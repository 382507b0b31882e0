//! Latencies that a worker counts while its parent may look.

use crate::histogram::LatencyHistogram;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Buckets in each doubling of the latency, so that a bucket is less than one percent wide. These are the buckets of
/// [`LatencyHistogram`], so nothing is lost on the way there.
const PER_OCTAVE: usize = 128;
/// Octaves up to the longest latency that is told apart from longer ones. The first holds 0 to 127 ns.
const OCTAVES: usize = LatencyHistogram::MAX_NS.ilog2() as usize - 5;

/// A log-linear histogram with one writer.
#[derive(Debug)]
pub(crate) struct Latencies {
    /// A bit for each octave that has any, so that a reader does not touch the pages of the others.
    octaves: AtomicU64,
    counts: [[AtomicU64; PER_OCTAVE]; OCTAVES],
}

impl Latencies {
    /// Adds one. For the only writer.
    pub(crate) fn record(&self, latency_ns: u64) {
        let (octave, bucket) = place(latency_ns.min(LatencyHistogram::MAX_NS));
        let count = &self.counts[octave][bucket];
        count.store(count.load(Relaxed) + 1, Relaxed);
        self.octaves.store(self.octaves.load(Relaxed) | 1 << octave, Release);
    }

    /// Those that there are by now beyond those that were `seen`, which then has them too.
    pub(crate) fn since(&self, seen: &mut LatencyHistogram) -> LatencyHistogram {
        let mut fresh = LatencyHistogram::default();
        let octaves = self.octaves.load(Acquire);
        for octave in (0..OCTAVES).filter(|octave| octaves & 1 << octave != 0) {
            for (bucket, count) in self.counts[octave].iter().enumerate() {
                let latency_ns = lowest(octave, bucket);
                let more = count.load(Relaxed) - seen.count_at(latency_ns);
                if more > 0 {
                    fresh.record(latency_ns, more);
                }
            }
        }
        seen.add(&fresh);
        fresh
    }
}

/// Octave and bucket of a latency.
fn place(latency_ns: u64) -> (usize, usize) {
    let octave = (latency_ns.max(1).ilog2() as usize).saturating_sub(6);
    match octave {
        0 => (0, latency_ns as usize),
        _ => (octave, (latency_ns >> (octave - 1)) as usize - PER_OCTAVE),
    }
}

/// The shortest latency of a bucket.
fn lowest(octave: usize, bucket: usize) -> u64 {
    match octave {
        0 => bucket as u64,
        _ => ((bucket + PER_OCTAVE) as u64) << (octave - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{Shared, Slot};

    #[test]
    fn every_latency_has_its_bucket() {
        let mut latency_ns = 0;
        while latency_ns < LatencyHistogram::MAX_NS {
            let (octave, bucket) = place(latency_ns);
            let low_ns = lowest(octave, bucket);
            assert!(low_ns <= latency_ns && latency_ns - low_ns <= latency_ns / 128, "{latency_ns}");
            assert_eq!(place(low_ns), (octave, bucket));
            latency_ns += 1 + latency_ns / 1000;
        }
        assert_eq!(place(LatencyHistogram::MAX_NS).0, OCTAVES - 1);
    }

    #[test]
    fn a_look_sees_what_came_since_the_last() {
        let slots = Shared::<Slot>::new(1).unwrap();
        let (latencies, mut seen) = (&slots[0].latencies, LatencyHistogram::default());
        let mut random = fastrand::Rng::with_seed(3);
        for round in 1..20 {
            let mut expected = LatencyHistogram::default();
            for _ in 0..random.u64(..40) {
                let latency_ns = random.u64(..) >> random.u32(..64);
                latencies.record(latency_ns);
                expected.record(latency_ns, 1);
            }
            assert!(latencies.since(&mut seen).pairs().eq(expected.pairs()), "{round}");
        }
    }
}
