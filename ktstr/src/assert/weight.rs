//! Cgroups that contend for CPUs and do not share them by their weights.

use super::alike::is_busy;
use super::found::{Found, Look, exceeds};
use super::result::PhaseReports;
use crate::facts::CgroupFacts;
use ktstr_wire::CpuSet;
use ktstr_workload::SchedPolicy;
use std::collections::BTreeMap;

/// Siblings that a finding shows.
const MOST_LINES: usize = 8;

/// A cgroup whose workers all want a CPU all the time.
struct Contender<'a> {
    facts: &'a CgroupFacts,
    /// How many CPUs its workers could use.
    wanted: usize,
}

/// In each phase, CPU time of siblings by `cpu.stat` against what is due to each of what they got together.
///
/// Siblings contend when they have the same CPUs, fewer than workers that want one all the time. A cgroup is due a share by
/// its weight, but no more than its workers can use; what it cannot use goes to the others by their weights. Cgroups that
/// were changed, frozen or have a `cpu.max`, and those with workers that sleep, are bound to some CPUs, or have a real-time
/// or deadline policy, are left out. It is charged to the host when the host took from a vCPU as much as a cgroup's time is
/// off.
pub(super) fn proportional(tolerance_pct: f64, phases: &[&PhaseReports]) -> Found {
    let looks = phases.iter().flat_map(|phase| {
        let all = contests(phase);
        all.into_iter().flat_map(|contest| looks(phase, &contest, tolerance_pct)).collect::<Vec<_>>()
    });
    Found::of(
        "weight_proportional",
        "in no phase did siblings with the same settings throughout contend for CPUs",
        looks,
    )
}

fn contests(phase: &PhaseReports) -> Vec<Vec<Contender<'_>>> {
    let mut siblings: BTreeMap<(&str, String), Vec<Contender<'_>>> = BTreeMap::new();
    for contender in phase.cgroups.iter().filter_map(|facts| contender(phase, facts)) {
        let parent = contender.facts.cgroup.rsplit_once('/').map_or("", |(parent, _)| parent);
        siblings.entry((parent, contender.facts.cpuset.to_string())).or_default().push(contender);
    }
    let contend = |contenders: &Vec<Contender<'_>>| {
        let wanted: usize = contenders.iter().map(|contender| contender.wanted).sum();
        contenders.len() > 1 && wanted > contenders[0].facts.cpuset.iter().count()
    };
    siblings.into_values().filter(contend).collect()
}

fn contender<'a>(phase: &'a PhaseReports, facts: &'a CgroupFacts) -> Option<Contender<'a>> {
    phase.settled(&facts.cgroup).filter(|_| !phase.has_quota(&facts.cgroup))?;
    let mut workers = phase.workers(&facts.cgroup);
    let by_weight = |policy| matches!(policy, SchedPolicy::Normal | SchedPolicy::Batch | SchedPolicy::Ext);
    let everywhere = |affinity: &Option<CpuSet>| affinity.as_ref().is_none_or(|cpus| facts.cpuset.is_subset(cpus));
    let wanted = phase.workers(&facts.cgroup).count();
    let all = workers.all(|worker| is_busy(worker) && by_weight(worker.policy) && everywhere(&worker.affinity));
    (all && wanted > 0).then_some(Contender { facts, wanted })
}

fn looks(phase: &PhaseReports, contest: &[Contender<'_>], tolerance_pct: f64) -> Vec<Look> {
    let claims: Vec<(f64, f64)> = contest
        .iter()
        .map(|contender| (f64::from(contender.facts.weight), contender.wanted as f64 * phase.length_ns as f64))
        .collect();
    let got = |contender: &Contender<'_>| contender.facts.stat.usage_us as f64 * 1e3;
    let all_ns: f64 = contest.iter().map(got).sum();
    let each = contest.iter().zip(due(all_ns, &claims));
    let lines: Vec<String> = each
        .clone()
        .map(|(contender, due_ns)| {
            let CgroupFacts { cgroup, weight, .. } = contender.facts;
            let got_s = got(contender) / 1e9;
            format!("{cgroup} has weight {weight} and got {got_s:.3} s of {:.3} s that were due to it", due_ns / 1e9)
        })
        .collect();
    let look = |(contender, due_ns): (&Contender<'_>, f64)| {
        let off_pct = (got(contender) - due_ns) / due_ns.max(1.0) * 100.0;
        if !exceeds(off_pct.abs(), tolerance_pct) {
            return Look::Holds;
        }
        let measured = format!(
            "cgroup {} got {:.3} s of CPU time on CPUs {}, {off_pct:+.1} % against the {:.3} s that its cpu.weight makes \
             due to it (limit {tolerance_pct} %)",
            contender.facts.cgroup,
            got(contender) / 1e9,
            contender.facts.cpuset,
            due_ns / 1e9
        );
        let finding = phase.finding("weight_proportional", measured, (got(contender) - due_ns).abs());
        Look::Breaks(off_pct.abs(), finding.with_evidence(lines.iter().take(MOST_LINES).cloned()))
    };
    each.map(look).collect()
}

/// Divides `all` by weights among claims, each a weight and the most that it can use.
fn due(all: f64, claims: &[(f64, f64)]) -> Vec<f64> {
    let mut due: Vec<Option<f64>> = vec![None; claims.len()];
    loop {
        let left = all - due.iter().flatten().sum::<f64>();
        let weights: f64 =
            claims.iter().zip(&due).filter(|(_, due)| due.is_none()).map(|((weight, _), _)| weight).sum();
        let share = |weight: f64| left * weight / weights;
        let full: Vec<usize> =
            (0..claims.len()).filter(|at| due[*at].is_none() && share(claims[*at].0) > claims[*at].1).collect();
        if full.is_empty() {
            return claims.iter().zip(due).map(|((weight, _), due)| due.unwrap_or_else(|| share(*weight))).collect();
        }
        full.into_iter().for_each(|at| due[at] = Some(claims[at].1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{cgroup, expect, phase, worker};
    use crate::facts::CpuStat;
    use ktstr_workload::{CpuMax, WorkerReport};

    fn check_due(all: f64, claims: &[(f64, f64)], expected: &[f64]) {
        let got = due(all, claims);
        assert!(got.iter().zip(expected).all(|(got, expected)| (got - expected).abs() < 1e-9), "{got:?}");
    }

    #[test]
    fn what_a_claim_cannot_use_goes_to_the_others() {
        check_due(4.0, &[(100.0, 4.0), (300.0, 4.0)], &[1.0, 3.0]);
        check_due(4.0, &[(100.0, 4.0), (300.0, 2.0)], &[2.0, 2.0]);
        check_due(4.0, &[(1.0, 9.0), (1.0, 9.0), (8.0, 1.0)], &[1.5, 1.5, 1.0]);
        check_due(4.0, &[(1.0, 1.0), (1.0, 1.0)], &[1.0, 1.0]);
    }

    /// In a phase of 2 s.
    fn got(name: &str, weight: u32, usage_ms: u64) -> CgroupFacts {
        let stat = CpuStat { usage_us: usage_ms * 1000, ..CpuStat::default() };
        CgroupFacts { weight, stat, ..cgroup(name, "0-1") }
    }

    fn workers() -> [WorkerReport; 4] {
        [worker("a", 0), worker("a", 1), worker("b", 0), worker("b", 1)]
    }

    fn check(cgroups: [CgroupFacts; 2], reports: [WorkerReport; 4], expected: &[&str]) {
        expect(proportional(20.0, &[&phase(cgroups, reports)]), expected);
    }

    #[test]
    fn shares_that_are_off_are_found() {
        check([got("a", 100, 1000), got("b", 300, 3000)], workers(), &[]);
        check([got("a", 100, 1190), got("b", 300, 2810)], workers(), &[]);
        check(
            [got("a", 100, 2000), got("b", 300, 2000)],
            workers(),
            &["cgroup a got 2.000 s of CPU time on CPUs 0-1, +100.0 % against the 1.000 s", "cgroup b got 2.000 s"],
        );
    }

    #[test]
    fn only_equals_are_compared() {
        let none = &["? in no phase"];
        let unfair = || [got("a", 100, 2000), got("b", 300, 2000)];
        let [a, b] = unfair();
        check([CgroupFacts { cpuset: [0].into_iter().collect(), ..a.clone() }, b.clone()], workers(), none);
        check([CgroupFacts { steady: false, ..a.clone() }, b.clone()], workers(), none);
        check([CgroupFacts { cgroup: "c/a".to_owned(), ..a.clone() }, b.clone()], workers(), none);
        let max = Some(CpuMax { quota_us: 1, period_us: 1 });
        check([CgroupFacts { max, ..a }, b], workers(), none);
        let change = |change: &dyn Fn(&mut WorkerReport)| {
            let mut workers = workers();
            change(&mut workers[1]);
            workers
        };
        check(unfair(), change(&|worker| worker.run_delay_ns = Some(0)), none);
        check(unfair(), change(&|worker| worker.policy = SchedPolicy::Fifo(1)), none);
        check(unfair(), change(&|worker| worker.affinity = Some([1].into_iter().collect())), none);
    }

    #[test]
    fn without_contention_weights_say_nothing() {
        let [a, _, b, _] = workers();
        let two = phase([got("a", 100, 2000), got("b", 300, 2000)], [a, b]);
        expect(proportional(20.0, &[&two]), &["? in no phase"]);
    }
}
