//! What one check comes to.

use crate::verdict::{Finding, Window};
use ktstr_workload::WorkerReport;
use std::cmp::Ordering;

/// The most findings of one check; the worst are told. A result must not grow with the number of workers.
const MOST_FINDINGS: usize = 16;

/// What one or more checks come to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    /// What was to be checked and could not be.
    pub(super) doubts: Vec<String>,
}

/// What a check says of one worker, or of one cgroup.
pub(super) enum Look {
    /// It measured nothing of the kind.
    NoData,
    Holds,
    /// It does not hold, and how bad that is compared to others of the same check.
    Breaks(f64, Finding),
}

impl Found {
    /// Sums up the looks of one check. `no_data` says what is missing where none of them had data.
    pub(super) fn of(asserted: &str, no_data: &str, looks: impl Iterator<Item = Look>) -> Self {
        let (mut any, mut broken) = (false, Vec::new());
        for look in looks {
            any |= !matches!(look, Look::NoData);
            if let Look::Breaks(how_bad, finding) = look {
                broken.push((how_bad, finding));
            }
        }
        if !any {
            return Self::doubt(asserted, no_data);
        }
        broken.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        let rest = broken.len().saturating_sub(MOST_FINDINGS);
        let mut findings: Vec<Finding> = broken.into_iter().take(MOST_FINDINGS).map(|(_, finding)| finding).collect();
        if rest > 0
            && let Some(last) = findings.last_mut()
        {
            last.evidence.push(format!("and {rest} more, less bad than these {MOST_FINDINGS}"));
        }
        Self { findings, doubts: Vec::new() }
    }

    pub(super) fn doubt(asserted: &str, why: &str) -> Self {
        Self { findings: Vec::new(), doubts: vec![format!("{asserted} could not be checked: {why}")] }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.doubts.extend(other.doubts);
    }
}

/// Whether it is above the limit; a limit that is no number does not hold anything.
pub(super) fn exceeds(measured: f64, limit: f64) -> bool {
    measured.partial_cmp(&limit).is_none_or(Ordering::is_gt)
}

pub(super) fn who(report: &WorkerReport) -> String {
    match report.cgroup.as_str() {
        "" => format!("worker {} (pid {}) outside of the test's cgroups", report.index, report.pid),
        cgroup => format!("worker {} (pid {}) of cgroup {cgroup}", report.index, report.pid),
    }
}

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The worker's whole time. If the host took at least `could_explain_ns` of that from a vCPU, it is charged to the host.
pub(super) fn whole(report: &WorkerReport, could_explain_ns: f64) -> Window {
    let length_ns = report.wall_time_ns;
    let could_explain_ns = could_explain_ns.max(1.0) as u64;
    Window { cpu: None, from_ns: report.from_ns, length_ns, tolerable_ns: length_ns.saturating_sub(could_explain_ns) }
}

/// When a worker was measured.
pub(super) fn when(report: &WorkerReport) -> String {
    format!("in the {:.3} s from {:.6} s of guest time", seconds(report.wall_time_ns), seconds(report.from_ns))
}
