//! Workers that run where they should not.

use super::found::{Found, Look, who};
use super::result::PhaseReports;
use crate::verdict::Finding;
use ktstr_wire::CpuSet;
use ktstr_workload::WorkerReport;

/// In each phase, workers were only on CPUs of their cgroup, and of those only where their own affinity lets them. Where
/// something was changed meanwhile, any CPU that the cgroup had at some time is allowed. The host is never to blame.
pub(super) fn isolation(phases: &[&PhaseReports]) -> Found {
    let looks = phases.iter().flat_map(|phase| phase.reports.iter().map(|report| strays(phase, report)));
    Found::of("isolation", "no worker ran in a cgroup of which a phase tells the CPUs", looks)
}

fn strays(phase: &PhaseReports, report: &WorkerReport) -> Look {
    let Some(facts) = phase.facts(&report.cgroup).filter(|_| !report.cpus_visited.is_empty()) else {
        return Look::NoData;
    };
    let affinity = report.affinity.as_ref().filter(|_| facts.steady);
    let allowed = affinity.map_or_else(|| facts.allowed.clone(), |affinity| within(affinity, &facts.allowed));
    let strays: CpuSet = report.cpus_visited.iter().filter(|cpu| !allowed.contains(*cpu)).collect();
    if strays.is_empty() {
        return Look::Holds;
    }
    let measured = format!("{} was on CPUs {strays}, and only {allowed} are allowed to it", who(report));
    let own = report.affinity.as_ref().map_or_else(|| "none of its own".to_owned(), |affinity| affinity.to_string());
    let evidence =
        format!("it was on {}; its cgroup had {}, and its affinity is {own}", report.cpus_visited, facts.allowed);
    let finding = Finding { phase: Some(phase.phase.clone()), ..Finding::new("isolation", measured) };
    Look::Breaks(strays.iter().count() as f64, finding.with_evidence([evidence]))
}

/// The affinity as far as the cpuset has it; the kernel ignores one that has none of these CPUs.
fn within(affinity: &CpuSet, cpuset: &CpuSet) -> CpuSet {
    let both: CpuSet = affinity.iter().filter(|cpu| cpuset.contains(*cpu)).collect();
    if both.is_empty() { cpuset.clone() } else { both }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{cgroup, cpus, expect, phase, worker};
    use crate::facts::CgroupFacts;

    fn on(visited: &str, affinity: Option<&str>) -> WorkerReport {
        WorkerReport { cpus_visited: cpus(visited), affinity: affinity.map(cpus), ..worker("a", 0) }
    }

    fn check(facts: CgroupFacts, report: WorkerReport, expected: &[&str]) {
        expect(isolation(&[&phase([facts], [report])]), expected);
    }

    #[test]
    fn a_cpu_that_is_not_allowed_is_found() {
        check(cgroup("a", "0-1"), on("0-1", None), &[]);
        check(cgroup("a", "0-1"), on("1-3", None), &["a was on CPUs 2-3, and only 0-1 are allowed to it"]);
        check(cgroup("a", "0-3"), on("1", Some("1-2")), &[]);
        check(cgroup("a", "0-3"), on("1,3", Some("1-2")), &["was on CPUs 3, and only 1-2"]);
        check(cgroup("a", "0-1"), on("1", Some("2")), &[]);
    }

    #[test]
    fn what_changed_meanwhile_allows_more() {
        let changed = || CgroupFacts { steady: false, cpuset: cpus("0"), ..cgroup("a", "0-1") };
        check(changed(), on("0-1", Some("0")), &[]);
        check(changed(), on("2", None), &["was on CPUs 2"]);
    }

    #[test]
    fn without_cgroup_or_cpu_nothing_is_told() {
        check(cgroup("b", "0"), on("0", None), &["? no worker ran in a cgroup"]);
        check(cgroup("a", "0"), on("", None), &["? no worker ran in a cgroup"]);
    }
}
