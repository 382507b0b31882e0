//! What of a record can be compared between runs: nothing that depends on how long the boot took.

use crate::units;
use ktstr::{Record, Verdict};
use ktstr_workload::{LatencyHistogram, WorkerReport};
use std::collections::{BTreeMap, BTreeSet};

/// With more cgroups than this they are measured together: too many questions leave no room for an answer.
const MOST_CGROUPS: usize = 8;

/// Sorts of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Metric {
    /// Runs that passed.
    Passes,
    /// Units of work in a second, of all workers.
    WorkRate,
    /// Rounds of the work type in a second, of all workers.
    IterationRate,
    /// Median wakeup latency.
    WakeP50,
    /// 99th percentile of wakeup latency.
    WakeP99,
    /// The longest gap of any worker.
    LongestGap,
    /// Between the most and the least served worker of a cgroup, in percent of a CPU.
    Spread,
    /// Time runnable but not running, in percent of the time of all workers.
    RunDelay,
    /// A number that the test itself gave a name.
    Named,
}

impl Metric {
    /// For a person.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::WorkRate => "work rate",
            Self::IterationRate => "iteration rate",
            Self::WakeP50 => "p50 wake latency",
            Self::WakeP99 => "p99 wake latency",
            Self::LongestGap => "longest gap",
            Self::Spread => "spread",
            Self::RunDelay => "run delay",
            Self::Named => "metric",
        }
    }

    /// Whether more of it is better; `None` where only the test's author knows.
    pub(super) fn more_is_better(self) -> Option<bool> {
        match self {
            Self::Passes | Self::WorkRate | Self::IterationRate => Some(true),
            Self::WakeP50 | Self::WakeP99 | Self::LongestGap | Self::Spread | Self::RunDelay => Some(false),
            Self::Named => None,
        }
    }

    /// A smaller difference of medians is of no interest however large it is in relation: what is next to nothing doubles
    /// easily.
    pub(super) fn least_difference(self) -> f64 {
        match self {
            // Percent of a CPU.
            Self::Spread | Self::RunDelay => 1.0,
            // What a clock and an interrupt are good for, in nanoseconds.
            Self::WakeP50 | Self::WakeP99 | Self::LongestGap => 1000.0,
            Self::Passes | Self::WorkRate | Self::IterationRate | Self::Named => 0.0,
        }
    }

    /// A value with its unit.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Self::Passes => format!("{:.0} %", value * 100.0),
            Self::WorkRate | Self::IterationRate => format!("{}/s", units::three_digits(value)),
            Self::WakeP50 | Self::WakeP99 | Self::LongestGap => units::duration(value),
            Self::Spread | Self::RunDelay => format!("{} %", units::three_digits(value)),
            Self::Named => units::three_digits(value),
        }
    }
}

/// What a measurement is of: a cgroup, or all of them when there is no name; of a named number, its name.
pub(super) type Measure = (Option<String>, Metric);

/// All measurements of a record.
pub(super) fn of(record: &Record) -> BTreeMap<Measure, f64> {
    let reports = record.guest.result.as_ref().map_or(&[][..], |result| &result.reports);
    let cgroups: BTreeSet<&str> = reports.iter().map(|report| report.cgroup.as_str()).collect();
    let mut all = BTreeMap::new();
    let passed = f64::from(u8::from(record.verdict == Verdict::Pass));
    all.insert((None, Metric::Passes), passed);
    // What ranks and ratios are made for.
    let named = record.guest.result.iter().flat_map(|result| &result.metrics).filter(|(_, value)| **value >= 0.0);
    all.extend(named.map(|(name, value)| ((Some(name.clone()), Metric::Named), *value)));
    if cgroups.len() > MOST_CGROUPS {
        let together: Vec<&WorkerReport> = reports.iter().collect();
        measure(&together, |metric, value| _ = all.insert((None, metric), value));
        return all;
    }
    for cgroup in cgroups {
        let members: Vec<&WorkerReport> = reports.iter().filter(|report| report.cgroup == cgroup).collect();
        measure(&members, |metric, value| _ = all.insert((Some(cgroup.to_owned()), metric), value));
    }
    all
}

/// The measurements of some workers; those that there are no data for are left out.
fn measure(reports: &[&WorkerReport], mut put: impl FnMut(Metric, f64)) {
    let rate = |count: fn(&WorkerReport) -> u64| -> f64 {
        reports.iter().map(|report| count(report) as f64 * 1e9 / report.wall_time_ns.max(1) as f64).sum()
    };
    put(Metric::WorkRate, rate(|report| report.work_units));
    // Where a round is a unit, one of them says it all.
    if reports.iter().any(|report| report.iterations != report.work_units) {
        put(Metric::IterationRate, rate(|report| report.iterations));
    }
    let mut latencies = LatencyHistogram::default();
    reports.iter().for_each(|report| latencies.add(&report.wake_latency));
    for (metric, share) in [(Metric::WakeP50, 0.5), (Metric::WakeP99, 0.99)] {
        if let Some(latency_ns) = latencies.quantile_ns(share) {
            put(metric, latency_ns as f64);
        }
    }
    put(Metric::LongestGap, reports.iter().map(|report| report.longest_gap.length_ns).max().unwrap_or(0) as f64);
    if let Some(spread) = spread(reports) {
        put(Metric::Spread, spread);
    }
    let delays: Option<Vec<u64>> = reports.iter().map(|report| report.run_delay_ns).collect();
    if let Some(delays) = delays {
        let wall_time_ns: u64 = reports.iter().map(|report| report.wall_time_ns).sum();
        put(Metric::RunDelay, delays.iter().sum::<u64>() as f64 * 100.0 / wall_time_ns.max(1) as f64);
    }
}

/// `None` for a worker alone.
fn spread(reports: &[&WorkerReport]) -> Option<f64> {
    let shares = reports.iter().map(|report| report.cpu_time_ns as f64 * 100.0 / report.wall_time_ns.max(1) as f64);
    let (least, most) = (shares.clone().reduce(f64::min)?, shares.reduce(f64::max)?);
    (reports.len() > 1).then_some(most - least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record;
    use ktstr::AssertResult;
    use ktstr_workload::Gap;

    fn worker(cgroup: &str, work_units: u64, cpu_time_ms: u64) -> WorkerReport {
        let mut report = WorkerReport { cgroup: cgroup.to_owned(), work_units, ..WorkerReport::default() };
        report.iterations = work_units;
        report.wall_time_ns = 2_000_000_000;
        report.cpu_time_ns = cpu_time_ms * 1_000_000;
        report.run_delay_ns = Some(200_000_000);
        report.longest_gap = Gap { length_ns: work_units * 1000, from_ns: 0, cpu: 0 };
        report
    }

    fn measured(reports: Vec<WorkerReport>) -> BTreeMap<Measure, f64> {
        let mut record = record("a", Verdict::Pass);
        record.guest.result = Some(AssertResult { reports, ..AssertResult::default() });
        of(&record)
    }

    #[test]
    fn each_cgroup_is_measured() {
        let mut woken = worker("b", 10, 1000);
        woken.iterations = 40;
        woken.wake_latency.record(1000, 100);
        let all = measured(vec![worker("a", 100, 1000), worker("a", 300, 500), woken]);
        let of = |cgroup: &str, metric| all.get(&(Some(cgroup.to_owned()), metric)).copied();
        assert_eq!(of("a", Metric::WorkRate), Some(200.0));
        assert_eq!(of("a", Metric::IterationRate), None);
        assert_eq!(of("a", Metric::LongestGap), Some(300_000.0));
        assert_eq!(of("a", Metric::Spread), Some(25.0));
        assert_eq!(of("a", Metric::RunDelay), Some(10.0));
        assert_eq!(of("a", Metric::WakeP99), None);
        assert_eq!(of("b", Metric::IterationRate), Some(20.0));
        assert_eq!(of("b", Metric::Spread), None);
        assert!(of("b", Metric::WakeP99).is_some());
        assert_eq!(all[&(None, Metric::Passes)], 1.0);
    }

    #[test]
    fn many_cgroups_are_measured_together() {
        let reports = (0..20).map(|number| worker(&format!("cg_{number}"), 10, 100)).collect();
        let all = measured(reports);
        assert_eq!(all[&(None, Metric::WorkRate)], 100.0);
        assert!(all.keys().all(|(cgroup, _)| cgroup.is_none()));
    }

    #[test]
    fn named_numbers_are_measurements() {
        let mut record = record("a", Verdict::Pass);
        let metrics = [("hackbench_s".to_owned(), 1.5), ("offset".to_owned(), -1.0)].into();
        record.guest.result = Some(AssertResult { metrics, ..AssertResult::default() });
        let all = of(&record);
        assert_eq!(all.get(&(Some("hackbench_s".to_owned()), Metric::Named)), Some(&1.5));
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn without_reports_only_the_verdict_is_left() {
        assert_eq!(measured(Vec::new()).len(), 1);
    }
}
