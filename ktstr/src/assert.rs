//! Checks on what workers measured.

use crate::facts::{CgroupFacts, CpuFacts};
use crate::verdict::{Finding, Window};
use ktstr_workload::WorkerReport;
use serde::{Deserialize, Serialize};

/// What is asserted. A field that is not set takes the value of the layer below: default, then test.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Assert {
    /// Every worker does some work.
    pub not_starved: Option<bool>,
    /// No worker with work to do is kept from running for longer than this, in milliseconds.
    pub max_gap_ms: Option<u64>,
    /// Within a cgroup the least and the most served worker differ in CPU share by at most this, in percent of a CPU.
    pub max_spread_pct: Option<f64>,
}

impl Assert {
    /// Nothing set.
    pub const fn unset() -> Self {
        Self { not_starved: None, max_gap_ms: None, max_spread_pct: None }
    }

    /// What holds for every test that does not say otherwise.
    ///
    /// A fair scheduler serves a handful of spinning workers every few tens of milliseconds; a second without running is
    /// starvation by any measure. Workers that don't divide evenly over the CPUs differ in share by what a migration
    /// every few slices evens out, which over seconds stays well below a third of a CPU.
    pub const fn defaults() -> Self {
        Self { not_starved: Some(true), max_gap_ms: Some(1000), max_spread_pct: Some(35.0) }
    }

    /// These fields, and `below`'s where one is not set.
    pub fn over(self, below: Self) -> Self {
        Self {
            not_starved: self.not_starved.or(below.not_starved),
            max_gap_ms: self.max_gap_ms.or(below.max_gap_ms),
            max_spread_pct: self.max_spread_pct.or(below.max_spread_pct),
        }
    }

    /// Checks the reports of one scenario.
    pub fn check(&self, reports: Vec<WorkerReport>) -> AssertResult {
        let mut result = AssertResult::default();
        if reports.is_empty() {
            result.inconclusive.push("no worker reported anything, so nothing could be checked".to_owned());
        }
        if self.not_starved == Some(true) {
            result.findings.extend(reports.iter().filter_map(starved));
        }
        if let Some(limit_ms) = self.max_gap_ms {
            result.findings.extend(reports.iter().filter_map(|report| gap(report, limit_ms)));
        }
        if let Some(limit_pct) = self.max_spread_pct {
            result.findings.extend(spreads(&reports, limit_pct));
        }
        result.reports = reports;
        result
    }
}

/// What the checks found, and what they looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AssertResult {
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// What could not be checked, and why.
    pub inconclusive: Vec<String>,
    /// What the workers measured.
    pub reports: Vec<WorkerReport>,
    /// What they measured in each phase of the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseReports>,
}

/// What workers measured in one phase of a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseReports {
    /// The phase.
    pub phase: String,
    /// When its measuring began, on the guest's `CLOCK_MONOTONIC`: what the phase changes was changed by then.
    pub from_ns: u64,
    /// How long it was measured.
    pub length_ns: u64,
    /// What they measured in it.
    pub reports: Vec<WorkerReport>,
    /// The cgroups that were there at its end.
    #[serde(default)]
    pub cgroups: Vec<CgroupFacts>,
    /// Every CPU of the machine.
    #[serde(default)]
    pub cpus: Vec<CpuFacts>,
}

impl AssertResult {
    /// Both results in one.
    pub fn and(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        self.inconclusive.extend(other.inconclusive);
        self.reports.extend(other.reports);
        self.phases.extend(other.phases);
        self
    }
}

fn who(report: &WorkerReport) -> String {
    format!("worker {} (pid {}) of cgroup {}", report.index, report.pid, report.cgroup)
}

fn starved(report: &WorkerReport) -> Option<Finding> {
    (report.work_units == 0).then(|| {
        let seconds = report.wall_time_ns as f64 / 1e9;
        Finding::new("not_starved", format!("{} did no work in {seconds:.3} s", who(report))).within(whole(report))
    })
}

fn gap(report: &WorkerReport, limit_ms: u64) -> Option<Finding> {
    let gap = report.longest_gap;
    let tolerable_ns = limit_ms.saturating_mul(1_000_000);
    (gap.length_ns > tolerable_ns).then(|| {
        let measured = format!(
            "{} did not run for {:.3} s, from {:.6} s of guest time on CPU {} (limit {limit_ms} ms)",
            who(report),
            gap.length_ns as f64 / 1e9,
            gap.from_ns as f64 / 1e9,
            gap.cpu
        );
        let window = Window { cpu: Some(gap.cpu), from_ns: gap.from_ns, length_ns: gap.length_ns, tolerable_ns };
        Finding::new("max_gap_ms", measured).within(window)
    })
}

fn spreads(reports: &[WorkerReport], limit_pct: f64) -> Vec<Finding> {
    let mut cgroups: Vec<&str> = reports.iter().map(|report| report.cgroup.as_str()).collect();
    cgroups.dedup();
    cgroups.into_iter().filter_map(|cgroup| spread(cgroup, reports, limit_pct)).collect()
}

fn spread(cgroup: &str, reports: &[WorkerReport], limit_pct: f64) -> Option<Finding> {
    let shares = reports.iter().filter(|report| report.cgroup == cgroup).map(|report| (share_pct(report), report));
    let least = shares.clone().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let most = shares.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (most.0 - least.0 > limit_pct).then(|| {
        let measured = format!(
            "in cgroup {cgroup} the CPU shares of workers differ by {:.1} % of a CPU (limit {limit_pct} %)",
            most.0 - least.0
        );
        let line = |(share, report): (f64, &WorkerReport)| format!("{} got {share:.1} %", who(report));
        let window = whole(least.1);
        Finding::new("max_spread_pct", measured).with_evidence([line(least), line(most)]).within(window)
    })
}

/// The worker's whole life. A host that took a tenth of it away from a vCPU could be why the shares are not fair.
fn whole(report: &WorkerReport) -> Window {
    let length_ns = report.wall_time_ns;
    Window { cpu: None, from_ns: report.from_ns, length_ns, tolerable_ns: length_ns / 10 * 9 }
}

/// CPU time in percent of the time that the worker could have had on one CPU.
fn share_pct(report: &WorkerReport) -> f64 {
    report.cpu_time_ns as f64 * 100.0 / report.wall_time_ns.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_workload::Gap;

    fn worker(cgroup: &str, cpu_time_ms: u64, gap_ms: u64) -> WorkerReport {
        WorkerReport {
            cgroup: cgroup.to_owned(),
            index: 0,
            pid: 42,
            from_ns: 0,
            work_units: cpu_time_ms,
            cpu_time_ns: cpu_time_ms * 1_000_000,
            wall_time_ns: 2_000_000_000,
            longest_gap: Gap { length_ns: gap_ms * 1_000_000, from_ns: 1_500_000_000, cpu: 1 },
            stopped_in_time: true,
            ..WorkerReport::default()
        }
    }

    fn check(reports: Vec<WorkerReport>, expected: &[&str]) {
        let result = Assert::defaults().check(reports);
        let found: Vec<String> = result.findings.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn fair_workers_pass() {
        check(vec![worker("a", 1000, 20), worker("a", 900, 40), worker("b", 400, 900)], &[]);
    }

    #[test]
    fn each_check_fires() {
        check(vec![worker("a", 0, 0)], &["not_starved: worker 0 (pid 42) of cgroup a did no work in 2.000 s"]);
        check(
            vec![worker("a", 9, 4000)],
            &["cgroup a did not run for 4.000 s, from 1.500000 s of guest time on CPU 1"],
        );
        check(vec![worker("a", 1900, 0), worker("a", 1100, 0)], &["differ by 40.0 %"]);
    }

    #[test]
    fn no_data_is_no_pass() {
        assert_eq!(Assert::defaults().check(Vec::new()).inconclusive.len(), 1);
    }

    #[test]
    fn a_set_field_wins() {
        let test = Assert { max_gap_ms: Some(5), ..Assert::unset() };
        assert_eq!(test.over(Assert::defaults()), Assert { max_gap_ms: Some(5), ..Assert::defaults() });
    }
}
