//! A distribution of latencies.

use hdrhistogram::Histogram;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Latencies in nanoseconds, each known to within one percent of itself.
///
/// As data it is a list of pairs: a latency, and how many were that long.
#[derive(Clone, PartialEq, Default)]
pub struct LatencyHistogram {
    /// Tens of kilobytes, which most workers have no use for.
    counts: Option<Histogram<u64>>,
}

impl LatencyHistogram {
    /// The longest latency that is told apart from longer ones: an hour.
    pub const MAX_NS: u64 = 3_600_000_000_000;
    const SIGNIFICANT_DIGITS: u8 = 2;

    /// Adds `count` latencies of `latency_ns`.
    pub fn record(&mut self, latency_ns: u64, count: u64) {
        if count > 0 {
            self.counts.get_or_insert_with(Self::empty).saturating_record_n(latency_ns.min(Self::MAX_NS), count);
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.counts.as_ref().map_or(0, Histogram::len)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_none()
    }

    /// The latency that this share of all, from 0 to 1, do not exceed; `None` when there are none.
    pub fn quantile_ns(&self, share: f64) -> Option<u64> {
        self.counts.as_ref().map(|counts| counts.value_at_quantile(share))
    }

    /// The longest.
    pub fn max_ns(&self) -> Option<u64> {
        self.counts.as_ref().map(Histogram::max)
    }

    /// How many are as long as this one, as far as that is known.
    pub(crate) fn count_at(&self, latency_ns: u64) -> u64 {
        self.counts.as_ref().map_or(0, |counts| counts.count_at(latency_ns))
    }

    /// The mean.
    pub fn mean_ns(&self) -> Option<f64> {
        self.counts.as_ref().map(Histogram::mean)
    }

    /// Standard deviation as a share of the mean.
    pub fn coefficient_of_variation(&self) -> Option<f64> {
        let counts = self.counts.as_ref()?;
        self.mean_ns().filter(|mean| *mean > 0.0).map(|mean| counts.stdev() / mean)
    }

    /// Adds all of another one.
    pub fn add(&mut self, other: &Self) {
        other.pairs().for_each(|(latency_ns, count)| self.record(latency_ns, count));
    }

    /// Latencies in ascending order, each with its count.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        let recorded = self.counts.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration()))
    }

    fn empty() -> Histogram<u64> {
        let counts = Histogram::new_with_bounds(1, Self::MAX_NS, Self::SIGNIFICANT_DIGITS);
        // Only bounds or digits out of range are refused.
        let Ok(counts) = counts else { unreachable!("constant bounds") };
        counts
    }
}

impl fmt::Debug for LatencyHistogram {
    /// A few words instead of thousands of counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median_ns, max_ns] = [self.quantile_ns(0.5), self.max_ns()];
        f.debug_struct("LatencyHistogram")
            .field("len", &self.len())
            .field("median_ns", &median_ns)
            .field("max_ns", &max_ns)
            .finish()
    }
}

impl Serialize for LatencyHistogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.pairs())
    }
}

impl<'de> Deserialize<'de> for LatencyHistogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut histogram = Self::default();
        for (latency_ns, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            if latency_ns > Self::MAX_NS * 2 {
                return Err(D::Error::custom(format!("a latency of {latency_ns} ns is longer than can be recorded")));
            }
            histogram.record(latency_ns, count);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_percent() {
        let mut histogram = LatencyHistogram::default();
        (1..=1000).for_each(|us| histogram.record(us * 1000, 1));
        let near = |share, expected_ns: f64| {
            let got_ns = histogram.quantile_ns(share).unwrap() as f64;
            assert!((got_ns / expected_ns - 1.0).abs() < 0.01, "{got_ns}");
        };
        near(0.5, 500_000.0);
        near(0.99, 990_000.0);
        near(1.0, 1_000_000.0);
        assert_eq!(LatencyHistogram::default().quantile_ns(0.5), None);
    }

    #[test]
    fn survives_the_way_as_data() {
        let mut histogram = LatencyHistogram::default();
        for latency_ns in [0, 1, 999, 12_345_678, u64::MAX] {
            histogram.record(latency_ns, 3);
        }
        let text = serde_json::to_string(&histogram).unwrap();
        let again: LatencyHistogram = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        assert_eq!((again.len(), again.max_ns()), (15, histogram.max_ns()));
    }
}
