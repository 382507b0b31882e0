//! The rank test of two samples (Mann and Whitney, 1947), with its effect sizes.
//!
//! Nothing is assumed of how the values are distributed. With ties, which measurements have, the exact distribution is that
//! of the mid-ranks at hand.

use std::collections::BTreeMap;

/// Samples that are together no larger have their exact distribution computed.
const MOST_EXACT: usize = 60;
/// Of a confidence interval.
const CONFIDENCE: f64 = 0.95;

/// What the test says of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    /// Pairs of which the value of the second sample is the smaller one; a tie is half a pair.
    pub(super) u: f64,
    /// How likely it is that ranks differ as much or more if the samples come from the same source; on both sides.
    pub(super) p: f64,
    /// Cliff's delta, also the rank-biserial correlation: from -1, all of the second sample are smaller, to 1.
    pub(super) delta: f64,
    /// The median of the second's value divided by the first's over all pairs (Hodges and Lehmann, 1963, for ratios).
    pub(super) ratio: f64,
    /// Its confidence interval; `None` when the samples are too small for one.
    pub(super) interval: Option<(f64, f64)>,
}

/// Tests two samples that are not empty, of values that are not negative.
pub(super) fn rank_test(first: &[f64], second: &[f64]) -> Ranked {
    let (n, m) = (first.len(), second.len());
    let pairs = (n * m) as f64;
    let u: f64 = first.iter().flat_map(|a| second.iter().map(move |b| half_pairs_below(*b, *a))).sum::<f64>() / 2.0;
    let ranks = doubled_ranks(first, second);
    let p = if n + m <= MOST_EXACT { exact(&ranks, n) } else { approximate(&ranks, u, n, m) };
    let mut ratios: Vec<f64> = first.iter().flat_map(|a| second.iter().map(move |b| ratio(*a, *b))).collect();
    ratios.sort_by(f64::total_cmp);
    let interval = interval_rank(n, m).map(|rank| (ratios[rank], ratios[ratios.len() - 1 - rank]));
    Ranked { u, p, delta: 1.0 - 2.0 * u / pairs, ratio: median(&ratios), interval }
}

/// The smallest p that samples of these sizes can have.
pub(super) fn least_p(n: usize, m: usize) -> f64 {
    (2.0 / choose(n + m, n)).min(1.0)
}

/// The middle of values in order, of which there is one at least.
pub(super) fn median(sorted: &[f64]) -> f64 {
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    // The mean of two infinities is one.
    if low == high { low } else { f64::midpoint(low, high) }
}

/// p values after Holm's correction for as many tests (Holm, 1979), in the order given.
pub(super) fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut largest: f64 = 0.0;
    for (step, index) in order.into_iter().enumerate() {
        largest = largest.max(((p.len() - step) as f64 * p[index]).min(1.0));
        adjusted[index] = largest;
    }
    adjusted
}

/// 2 if `b` is below `a`, 1 if they are the same.
fn half_pairs_below(b: f64, a: f64) -> f64 {
    if b < a { 2.0 } else { f64::from(u8::from(a == b)) }
}

/// From nothing to nothing is no change.
fn ratio(a: f64, b: f64) -> f64 {
    if a == b { 1.0 } else { b / a }
}

/// Twice the mid-ranks, which are whole numbers: those of the first sample first.
fn doubled_ranks(first: &[f64], second: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let below = |value: f64| all.iter().filter(|other| **other < value).count();
    let same = |value: f64| all.iter().filter(|other| **other == value).count();
    all.iter().map(|value| 2 * below(*value) + same(*value) + 1).collect()
}

/// Over all ways to call `n` of the ranks the first sample: the share whose sum is as far from the mean as this one's.
fn exact(ranks: &[usize], n: usize) -> f64 {
    let sums = sums(ranks, n);
    let all: f64 = sums.values().sum();
    let mean = ranks.iter().sum::<usize>() as f64 * n as f64 / ranks.len() as f64;
    let seen = ranks[..n].iter().sum::<usize>() as f64;
    // Sums are whole; the mean is not, and is rounded.
    let far = (seen - mean).abs() - 1e-6;
    let as_far = sums.iter().filter(|(sum, _)| (**sum as f64 - mean).abs() >= far).map(|(_, ways)| ways);
    as_far.sum::<f64>() / all
}

/// How many ways there are to pick `n` of the ranks, by their sum.
fn sums(ranks: &[usize], n: usize) -> BTreeMap<usize, f64> {
    let mut by_size = vec![BTreeMap::new(); n + 1];
    by_size[0].insert(0, 1.0);
    for rank in ranks {
        for size in (1..=n).rev() {
            let (smaller, larger) = by_size.split_at_mut(size);
            for (sum, ways) in &smaller[size - 1] {
                *larger[0].entry(sum + rank).or_insert(0.0) += ways;
            }
        }
    }
    by_size.swap_remove(n)
}

/// The normal approximation, corrected for ties and for continuity.
fn approximate(ranks: &[usize], u: f64, n: usize, m: usize) -> f64 {
    let mut ties: BTreeMap<usize, f64> = BTreeMap::new();
    ranks.iter().for_each(|rank| *ties.entry(*rank).or_default() += 1.0);
    let tied: f64 = ties.values().map(|count| count.powi(3) - count).sum();
    let (all, pairs) = ((n + m) as f64, (n * m) as f64);
    let deviation = (pairs / 12.0 * (all + 1.0 - tied / (all * (all - 1.0)))).sqrt();
    let distance = ((u - pairs / 2.0).abs() - 0.5).max(0.0);
    // All values are the same.
    if deviation == 0.0 { 1.0 } else { libm::erfc(distance / deviation / std::f64::consts::SQRT_2) }
}

/// How many of the smallest ratios are outside of the confidence interval, by the distribution of U without ties.
fn interval_rank(n: usize, m: usize) -> Option<usize> {
    let half = (1.0 - CONFIDENCE) / 2.0;
    if n + m > MOST_EXACT {
        let (pairs, all) = ((n * m) as f64, (n + m) as f64);
        // 1.96 deviations (Hollander and Wolfe, Nonparametric Statistical Methods, section 4.3).
        return Some((pairs / 2.0 - 1.96 * (pairs * (all + 1.0) / 12.0).sqrt()).max(0.0) as usize);
    }
    let ranks: Vec<usize> = (1..=n + m).collect();
    let mut below = 0.0;
    let all = choose(n + m, n);
    let outside = sums(&ranks, n).into_values().take_while(|ways| {
        below += ways;
        below / all <= half
    });
    outside.count().checked_sub(1)
}

fn choose(all: usize, some: usize) -> f64 {
    (1..=some).map(|number| (all - some + number) as f64 / number as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }

    /// Samples of these sizes without ties that have this U.
    fn with_u(n: usize, m: usize, u: usize) -> (Vec<f64>, Vec<f64>) {
        // The first sample ranks lowest, and then its last values rise until as many pairs are turned.
        let mut ranks: Vec<usize> = (0..n).collect();
        let mut left = u;
        for rank in ranks.iter_mut().rev() {
            let rise = left.min(m);
            *rank += rise;
            left -= rise;
        }
        let second = (0..n + m).filter(|rank| !ranks.contains(rank)).map(|rank| rank as f64).collect();
        (ranks.into_iter().map(|rank| rank as f64).collect(), second)
    }

    /// The largest U that is significant at 5 % on both sides, from the usual tables (Mann and Whitney, 1947; Milton,
    /// 1964).
    #[test]
    fn critical_values_are_those_of_the_tables() {
        let table =
            [(4, 4, 0), (5, 5, 2), (5, 8, 6), (6, 9, 10), (8, 8, 13), (10, 10, 23), (12, 15, 49), (20, 20, 127)];
        for (n, m, critical) in table {
            let p = |u| {
                let (first, second) = with_u(n, m, u);
                let ranked = rank_test(&first, &second);
                near(ranked.u, u as f64);
                ranked.p
            };
            assert!(p(critical) <= 0.05, "{n} {m}: {}", p(critical));
            assert!(p(critical + 1) > 0.05, "{n} {m}: {}", p(critical + 1));
        }
    }

    #[test]
    fn published_examples() {
        // The ages at diagnosis in the documentation of scipy.stats.mannwhitneyu.
        let ranked = rank_test(&[20.0, 11.0, 17.0, 12.0], &[19.0, 22.0, 16.0, 29.0, 24.0]);
        near(ranked.u, 3.0);
        near(ranked.p, 0.111_111_111);
        near(ranked.delta, 0.7);
        // Every value below every other: two of the 70 ways.
        near(rank_test(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]).p, 2.0 / 70.0);
        near(rank_test(&[5.0, 6.0, 7.0, 8.0], &[1.0, 2.0, 3.0, 4.0]).p, 2.0 / 70.0);
    }

    /// By trying all ways one by one.
    #[test]
    fn ties_are_exact() {
        let (first, second) = ([1.0, 2.0, 2.0, 5.0], [2.0, 3.0, 5.0, 5.0, 7.0]);
        let ranks = doubled_ranks(&first, &second);
        assert_eq!(ranks, [2, 6, 6, 14, 6, 10, 14, 14, 18]);
        let mean = ranks.iter().sum::<usize>() as f64 * 4.0 / 9.0;
        let distance = |set: u32| {
            let sum: usize = (0..9).filter(|bit| set >> bit & 1 == 1).map(|bit| ranks[bit]).sum();
            (sum as f64 - mean).abs()
        };
        let all: Vec<u32> = (0_u32..1 << 9).filter(|set| set.count_ones() == 4).collect();
        let as_far = all.iter().filter(|set| distance(**set) >= distance(0b1111) - 1e-9).count();
        near(rank_test(&first, &second).p, as_far as f64 / all.len() as f64);
        near(rank_test(&[3.0; 5], &[3.0; 5]).p, 1.0);
    }

    #[test]
    fn large_samples_are_approximated_well() {
        let sample = |shift: f64, count: u64| -> Vec<f64> {
            (0..count).map(|number| ((number * 7919 + shift as u64) % 101) as f64 + shift).collect()
        };
        let (first, second) = (sample(0.0, 30), sample(13.0, 30));
        let exact = rank_test(&first, &second);
        let approximate = approximate(&doubled_ranks(&first, &second), exact.u, 30, 30);
        assert!((exact.p - approximate).abs() < 0.005, "{} {approximate}", exact.p);
        let ranked = rank_test(&sample(0.0, 200), &sample(20.0, 200));
        let (low, high) = ranked.interval.unwrap();
        assert!(ranked.p < 1e-6 && low < ranked.ratio && ranked.ratio < high, "{ranked:?}");
        near(rank_test(&[3.0; 50], &[3.0; 50]).p, 1.0);
    }

    #[test]
    fn effect_sizes() {
        let ranked = rank_test(&[1.0, 2.0, 3.0, 4.0, 5.0], &[2.0, 4.0, 6.0, 8.0, 10.0]);
        near(ranked.ratio, 2.0);
        near(ranked.delta, 0.6);
        let (low, high) = ranked.interval.unwrap();
        assert!(low < 1.0 && high > 2.0, "{ranked:?}");
        assert_eq!(rank_test(&[1.0, 2.0], &[2.0, 4.0]).interval, None, "four values tell no 95 %");
        near(rank_test(&[0.0, 0.0, 0.0], &[0.0, 0.0, 0.0]).ratio, 1.0);
        assert_eq!(rank_test(&[0.0, 0.0, 0.0], &[1.0, 1.0, 1.0]).ratio, f64::INFINITY);
    }

    #[test]
    fn corrections_are_holms() {
        // Four tests: 0.01 × 4, 0.02 × 3, then no smaller than the one before.
        let adjusted = holm(&[0.03, 0.01, 0.02, 0.9]);
        [0.06, 0.04, 0.06, 0.9].into_iter().zip(adjusted).for_each(|(expected, got)| near(got, expected));
        assert!(holm(&[]).is_empty());
        near(least_p(5, 5), 2.0 / 252.0);
        near(least_p(1, 1), 1.0);
    }
}
