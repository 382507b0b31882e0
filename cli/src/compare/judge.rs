//! What got worse and what got better from one run to the other.

use super::metrics::{self, Measure, Metric};
use super::rank::{Ranked, holm, least_p, median, rank_test};
use super::variants::{Name, Variant};
use std::collections::{BTreeMap, BTreeSet};

/// What counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A difference is significant when its corrected p is no larger.
    pub(super) alpha: f64,
    /// A relative change is of interest when it is no smaller.
    pub(super) floor: f64,
}

/// Which way something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trend {
    /// It regressed.
    Worse,
    /// It changed, and whether that is good is not known.
    Differs,
    /// It improved.
    Better,
    /// No difference that is both significant and large enough.
    Same,
}

/// One measurement of one variant in both runs.
#[derive(Debug)]
pub(super) struct Comparison {
    /// The variant.
    pub(super) variant: Name,
    /// What was measured.
    pub(super) measure: Measure,
    /// Samples of either run, in order.
    pub(super) samples: [Vec<f64>; 2],
    /// The test of them.
    pub(super) ranked: Ranked,
    /// p after correction.
    pub(super) p: f64,
    /// What that means.
    pub(super) trend: Trend,
}

/// What is said of a variant as a whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// The variant.
    pub(super) variant: Name,
    /// Which way.
    pub(super) trend: Trend,
    /// What has changed.
    pub(super) what: String,
}

/// All that came of comparing two runs.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Variants whose verdicts changed, or that are not there any more.
    pub(super) changes: Vec<Change>,
    /// Measurements that were tested.
    pub(super) comparisons: Vec<Comparison>,
    /// Variants that have one sample in one of the runs, so that nothing is tested.
    pub(super) one_sample: Vec<Name>,
    /// Tested measurements whose samples are too few for any difference to be significant.
    pub(super) hopeless: usize,
    /// Samples of each run with which that would be possible.
    pub(super) enough: usize,
    /// Variants of both runs.
    pub(super) common: usize,
}

type Variants<'a> = BTreeMap<Name, Variant<'a>>;

/// Compares the variants of two runs. With `common_only`, those that only the first one has are left out.
pub(super) fn judge(before: &Variants<'_>, after: &Variants<'_>, common_only: bool, limits: Limits) -> Judgement {
    let mut judgement = Judgement::default();
    for (name, first) in before {
        let Some(second) = after.get(name) else {
            if !common_only {
                judgement.change(name, Trend::Worse, format!("{} → not there", first.in_words()));
            }
            continue;
        };
        judgement.common += 1;
        judgement.verdicts(name, first, second);
        match incomparable(first, second) {
            Some(why) => judgement.change(name, Trend::Worse, why),
            None => judgement.measurements(name, first, second),
        }
    }
    judgement.conclude(limits);
    judgement
}

/// Why the measurements of two variants cannot be compared.
fn incomparable(first: &Variant<'_>, second: &Variant<'_>) -> Option<String> {
    let of = |variant: &Variant<'_>| {
        let shapes: BTreeSet<String> = variant
            .records
            .iter()
            .map(|record| format!("{} for {} s", record.machine.topology, record.duration_ns as f64 / 1e9))
            .collect();
        shapes.into_iter().collect::<Vec<_>>().join(" and ")
    };
    let (first, second) = (of(first), of(second));
    let differ = !first.is_empty() && !second.is_empty() && first != second;
    differ.then(|| format!("not the same test any more, so not compared: {first} → {second}"))
}

impl Judgement {
    fn change(&mut self, variant: &Name, trend: Trend, what: String) {
        self.changes.push(Change { variant: variant.clone(), trend, what });
    }

    fn verdicts(&mut self, name: &Name, first: &Variant<'_>, second: &Variant<'_>) {
        let trend = match first.worst().cmp(&second.worst()) {
            std::cmp::Ordering::Less => Trend::Worse,
            std::cmp::Ordering::Greater => Trend::Better,
            std::cmp::Ordering::Equal => return,
        };
        self.change(name, trend, format!("{} → {}", first.in_words(), second.in_words()));
    }

    fn measurements(&mut self, name: &Name, first: &Variant<'_>, second: &Variant<'_>) {
        if first.records.len() < 2 || second.records.len() < 2 {
            self.one_sample.push(name.clone());
            return;
        }
        let samples = [first, second].map(samples);
        for (measure, values) in &samples[0] {
            let Some(others) = samples[1].get(measure) else { continue };
            let constant = values.iter().chain(others).all(|value| *value == values[0]);
            if values.len() < 2 || others.len() < 2 || constant {
                continue;
            }
            let ranked = rank_test(values, others);
            self.comparisons.push(Comparison {
                variant: name.clone(),
                measure: measure.clone(),
                samples: [values.clone(), others.clone()],
                ranked,
                p: ranked.p,
                trend: Trend::Same,
            });
        }
    }

    /// Corrects for the number of tests, and then says what is significant.
    fn conclude(&mut self, limits: Limits) {
        let p: Vec<f64> = self.comparisons.iter().map(|comparison| comparison.ranked.p).collect();
        for (comparison, p) in self.comparisons.iter_mut().zip(holm(&p)) {
            comparison.p = p;
            comparison.trend = comparison.trend(limits);
        }
        let family = self.comparisons.len() as f64;
        let possible = |n, m| least_p(n, m) * family <= limits.alpha;
        let sizes = self.comparisons.iter().map(|comparison| comparison.samples.each_ref().map(Vec::len));
        self.hopeless = sizes.filter(|[n, m]| !possible(*n, *m)).count();
        self.enough = (2..).find(|n| possible(*n, *n)).unwrap_or(0);
    }

    /// Whether anything regressed.
    pub(super) fn is_worse(&self) -> bool {
        self.count(Trend::Worse) > 0
    }

    /// How much went this way.
    pub(super) fn count(&self, trend: Trend) -> usize {
        let changes = self.changes.iter().filter(|change| change.trend == trend).count();
        changes + self.comparisons.iter().filter(|comparison| comparison.trend == trend).count()
    }
}

impl Comparison {
    fn trend(&self, limits: Limits) -> Trend {
        let rose = self.ranked.delta > 0.0;
        let [before, after] = self.samples.each_ref().map(|samples| median(samples));
        let differ = (after - before).abs() >= self.measure.1.least_difference();
        let large = match self.measure.1 {
            // Most runs pass on both sides: the ratio of the medians says nothing.
            Metric::Passes => self.ranked.delta.abs() >= limits.floor,
            _ => (self.ranked.ratio - 1.0).abs() >= limits.floor,
        };
        if self.p > limits.alpha || !large || !differ {
            return Trend::Same;
        }
        match self.measure.1.more_is_better() {
            None => Trend::Differs,
            Some(more_is_better) if rose == more_is_better => Trend::Better,
            Some(_) => Trend::Worse,
        }
    }
}

/// The values of each measurement, in order.
fn samples(variant: &Variant<'_>) -> BTreeMap<Measure, Vec<f64>> {
    let mut all: BTreeMap<Measure, Vec<f64>> = BTreeMap::new();
    for record in &variant.records {
        for (measure, value) in metrics::of(record) {
            all.entry(measure).or_default().push(value);
        }
    }
    all.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
    all
}

#[cfg(test)]
mod tests {
    use super::super::variants::variants;
    use super::*;
    use crate::runs::Run;
    use crate::runs::tests::{record, run};
    use ktstr::{AssertResult, Record, Verdict};
    use ktstr_workload::WorkerReport;

    const LIMITS: Limits = Limits { alpha: 0.05, floor: 0.05 };

    /// Replicas whose one worker did so much work.
    fn replicas(work: impl IntoIterator<Item = u64>) -> Vec<Record> {
        let one = |(seed, work_units): (usize, u64)| {
            let report = WorkerReport {
                cgroup: "cg_0".into(),
                work_units,
                iterations: work_units,
                wall_time_ns: 1_000_000_000,
                ..WorkerReport::default()
            };
            let mut record = Record { seed: seed as u64, ..record("a", Verdict::Pass) };
            record.guest.result = Some(AssertResult { reports: vec![report], ..AssertResult::default() });
            record
        };
        work.into_iter().enumerate().map(one).collect()
    }

    fn judged(before: &Run, after: &Run) -> Judgement {
        judge(&variants(before, false), &variants(after, false), false, LIMITS)
    }

    fn check(before: Vec<Record>, after: Vec<Record>, worse: usize, better: usize) -> Judgement {
        let judgement = judged(&run(before), &run(after));
        assert_eq!((judgement.count(Trend::Worse), judgement.count(Trend::Better)), (worse, better), "{judgement:#?}");
        judgement
    }

    #[test]
    fn less_work_is_worse_and_more_is_better() {
        let slow = check(replicas(1000..1010), replicas(800..810), 1, 0);
        let worst = slow.comparisons.iter().find(|comparison| comparison.trend == Trend::Worse).unwrap();
        assert_eq!(worst.measure, (Some("cg_0".to_owned()), Metric::WorkRate));
        assert!(worst.ranked.delta == -1.0 && worst.p < 0.001 && (worst.ranked.ratio - 0.8).abs() < 0.01);
        check(replicas(800..810), replicas(1000..1010), 0, 1);
    }

    #[test]
    fn what_is_significant_but_small_is_no_change() {
        check(replicas(1000..1010), replicas(985..995), 0, 0);
    }

    #[test]
    fn what_is_large_but_could_be_chance_is_no_change() {
        check(replicas([1000, 500, 1500, 700, 1300]), replicas([900, 400, 1400, 800, 600]), 0, 0);
    }

    #[test]
    fn one_sample_is_not_tested() {
        let judgement = check(replicas([1000]), replicas(100..110), 0, 0);
        assert_eq!((judgement.one_sample, judgement.comparisons.len()), (vec!["a".to_owned()], 0));
    }

    #[test]
    fn samples_that_can_tell_nothing_are_said() {
        let judgement = check(replicas(1000..1003), replicas(1..4), 0, 0);
        assert_eq!((judgement.hopeless, judgement.comparisons.len(), judgement.enough), (1, 1, 4));
    }

    #[test]
    fn a_worse_verdict_is_worse_on_one_sample() {
        let fail = || vec![record("a", Verdict::Fail { findings: vec![] })];
        let pass = || vec![record("a", Verdict::Pass)];
        let inconclusive = || vec![record("a", Verdict::Inconclusive { reason: "?".into() })];
        assert_eq!(check(pass(), fail(), 1, 0).changes[0].what, "1 Pass → 1 Fail");
        check(pass(), inconclusive(), 1, 0);
        check(fail(), inconclusive(), 0, 1);
        check(fail(), fail(), 0, 0);
        assert_eq!(check(pass(), vec![], 1, 0).changes[0].what, "1 Pass → not there");
        check(vec![], fail(), 0, 0);
    }

    #[test]
    fn more_failures_among_replicas_are_worse() {
        let with = |failures: u64| {
            let verdict = |seed| if seed < failures { Verdict::Fail { findings: vec![] } } else { Verdict::Pass };
            (0..12).map(|seed| Record { seed, ..record("a", verdict(seed)) }).collect::<Vec<_>>()
        };
        check(with(1), with(11), 1, 0);
        check(with(1), with(2), 0, 0);
    }

    #[test]
    fn another_machine_is_not_compared() {
        let mut other = replicas(1000..1010);
        other.iter_mut().for_each(|record| record.duration_ns *= 2);
        let judgement = check(replicas(1000..1010), other, 1, 0);
        assert!(judgement.changes[0].what.contains("not compared: 1,1,2,1 for 2 s"), "{judgement:?}");
    }
}
