//! What is known of cgroups in a phase in which nothing changed them.

use super::result::PhaseReports;
use crate::facts::CgroupFacts;
use crate::verdict::{Finding, Window};
use ktstr_workload::WorkerReport;

impl PhaseReports {
    pub(super) fn facts(&self, cgroup: &str) -> Option<&CgroupFacts> {
        self.cgroups.iter().find(|facts| facts.cgroup == cgroup)
    }

    /// The cgroup, if neither it nor one above it was changed or frozen.
    pub(super) fn settled(&self, cgroup: &str) -> Option<&CgroupFacts> {
        let calm = |facts: &CgroupFacts| facts.steady && !facts.frozen;
        self.line(cgroup).all(calm).then(|| self.facts(cgroup)).flatten()
    }

    /// Whether a `cpu.max` of its own or of one above it holds it back.
    pub(super) fn has_quota(&self, cgroup: &str) -> bool {
        self.line(cgroup).any(|facts| facts.max.is_some())
    }

    /// The workers of the cgroup, and of those below it.
    pub(super) fn workers(&self, cgroup: &str) -> impl Iterator<Item = &WorkerReport> {
        let there = self.reports.iter().filter(|report| report.wall_time_ns > 0);
        there.filter(move |report| report.cgroup == cgroup || is_below(&report.cgroup, cgroup))
    }

    /// A finding of this phase. If the host took at least `could_explain_ns` of it from a vCPU, it is charged to the host.
    pub(super) fn finding(&self, asserted: &str, measured: String, could_explain_ns: f64) -> Finding {
        let tolerable_ns = self.length_ns.saturating_sub(could_explain_ns.max(1.0) as u64);
        let window = Window { cpu: None, from_ns: self.from_ns, length_ns: self.length_ns, tolerable_ns };
        Finding { phase: Some(self.phase.clone()), ..Finding::new(asserted, measured).within(window) }
    }

    /// The cgroup and those above it.
    fn line(&self, cgroup: &str) -> impl Iterator<Item = &CgroupFacts> {
        self.cgroups.iter().filter(move |facts| facts.cgroup == cgroup || is_below(cgroup, &facts.cgroup))
    }
}

fn is_below(cgroup: &str, above: &str) -> bool {
    cgroup.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}
