//! What is asserted of a scenario, and of its phases.

use super::fields::Assert;
use super::found::Found;
use super::result::{AssertResult, PhaseReports};
use super::{conserving, fairness, isolation, latency, migration, programs, quota, rate, starvation, weight};
use ktstr_workload::WorkerReport;

/// Everything that is asserted of one scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Checks {
    /// What a test or a scheduler asks for.
    asked: Assert,
    /// What holds where they say nothing.
    defaults: Assert,
    /// What is asked for of phases, by their names.
    phases: Vec<(String, Assert)>,
}

/// Who wants a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A test or a scheduler. It is wrong to stay silent when it cannot be told.
    Asked,
    /// Nobody in particular, so it is made where it applies.
    ByDefault,
}

impl Checks {
    /// What is asked for, and the defaults for the rest.
    pub fn new(asked: Assert, defaults: Assert) -> Self {
        Self { asked, defaults, phases: Vec::new() }
    }

    /// The same, and these in place of what was asked for so far.
    #[must_use]
    pub fn with(mut self, asked: Assert) -> Self {
        self.asked = asked.over(self.asked);
        self
    }

    /// The same with other defaults, for a scenario to which one does not apply. What was asked for stays.
    #[must_use]
    pub fn relaxed(mut self, change: impl FnOnce(&mut Assert)) -> Self {
        change(&mut self.defaults);
        self
    }

    /// The same, and these of each phase of this name. It is a doubt when there is no such phase.
    ///
    /// What is asserted of the whole scenario stays asserted of the whole: a phase has only what is asked for it.
    #[must_use]
    pub fn for_phase(mut self, phase: impl Into<String>, asked: Assert) -> Self {
        self.phases.push((phase.into(), asked));
        self
    }

    /// Checks the reports of a scenario that has no phases.
    pub fn check(&self, reports: Vec<WorkerReport>) -> AssertResult {
        self.check_phases(reports, Vec::new())
    }

    /// Checks the reports of a scenario and of its phases.
    pub fn check_phases(&self, reports: Vec<WorkerReport>, phases: Vec<PhaseReports>) -> AssertResult {
        let all: Vec<&PhaseReports> = phases.iter().collect();
        let mut found = look(&self.asked, Wanted::Asked, &reports, &all);
        found.add(look(&self.defaults.without(self.asked), Wanted::ByDefault, &reports, &all));
        for finding in found.findings.iter_mut().filter(|finding| finding.phase.is_none()) {
            let around = finding.window.and_then(|window| phases.iter().find(|phase| phase.contains(&window)));
            finding.phase = around.map(|phase| phase.phase.clone());
        }
        for (name, asked) in &self.phases {
            found.add(look_at_phases(name, asked, &phases));
        }
        let mut inconclusive = found.doubts;
        if reports.is_empty() {
            inconclusive.push("no worker reported anything, so nothing could be checked".to_owned());
        }
        let mut result =
            AssertResult { findings: found.findings, inconclusive, reports, phases, ..AssertResult::default() };
        programs::add(&mut result);
        result
    }
}

fn look_at_phases(name: &str, asked: &Assert, phases: &[PhaseReports]) -> Found {
    let mut found = Found::default();
    let mut named = phases.iter().filter(|phase| phase.phase == name).peekable();
    if named.peek().is_none() {
        found.doubts.push(format!("nothing could be checked in phase {name}: there was no such phase"));
    }
    for phase in named {
        let mut of_phase = look(asked, Wanted::Asked, &phase.reports, &[phase]);
        of_phase.findings.iter_mut().for_each(|finding| finding.phase = Some(name.to_owned()));
        of_phase.doubts.iter_mut().for_each(|doubt| *doubt = format!("in phase {name}, {doubt}"));
        found.add(of_phase);
    }
    found
}

/// Makes the checks that are set: of what workers measured from beginning to end, and of cgroups in each of the phases.
fn look(assert: &Assert, wanted: Wanted, reports: &[WorkerReport], phases: &[&PhaseReports]) -> Found {
    let mut found = Found::default();
    let mut add = |part: Option<Found>| found.add(part.unwrap_or_default());
    let is = |flag: Option<bool>| (flag == Some(true)).then_some(());
    add(is(assert.not_starved).map(|()| starvation::not_starved(reports)));
    add(assert.max_gap_ms.map(|limit_ms| starvation::max_gap(limit_ms, reports, phases)));
    add(assert.max_spread_pct.map(|limit_pct| match wanted {
        Wanted::Asked => fairness::max_spread(limit_pct, reports),
        Wanted::ByDefault => fairness::max_spread_of_busy(limit_pct, reports),
    }));
    add(assert.max_throughput_cv.map(|limit| fairness::max_throughput_cv(limit, reports)));
    add(assert.min_work_rate.map(|limit| rate::min_work_rate(limit, reports)));
    add(assert.min_iteration_rate.map(|limit| rate::min_iteration_rate(limit, reports)));
    add(assert.max_p99_wake_latency_ns.map(|limit_ns| latency::max_p99(limit_ns, reports)));
    add(assert.max_wake_latency_cv.map(|limit| latency::max_cv(limit, reports)));
    add(assert.max_migration_ratio.map(|limit| migration::max_ratio(limit, reports)));
    add(is(assert.isolation).map(|()| isolation::isolation(phases)));
    add(assert.weight_proportional.map(|tolerance_pct| weight::proportional(tolerance_pct, phases)));
    add(is(assert.quota_respected).map(|()| quota::respected(phases)));
    add(is(assert.work_conserving).map(|()| conserving::work_conserving(phases)));
    if wanted == Wanted::ByDefault {
        found.doubts.clear();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::worker;
    use ktstr_vmm::Chosen;
    use ktstr_workload::Gap;

    fn gap(length_ms: u64) -> WorkerReport {
        let longest_gap = Gap { length_ns: length_ms * 1_000_000, from_ns: 1_500_000_000, cpu: 1 };
        WorkerReport { longest_gap, ..worker("a", 0) }
    }

    fn phase(name: &str, from_ms: u64, reports: Vec<WorkerReport>) -> PhaseReports {
        PhaseReports {
            phase: name.to_owned(),
            from_ns: from_ms * 1_000_000,
            length_ns: 1_000_000_000,
            reports,
            ..PhaseReports::default()
        }
    }

    /// The findings, then the doubts.
    fn check(checks: &Checks, phases: Vec<PhaseReports>, reports: Vec<WorkerReport>, expected: &[&str]) {
        let result = checks.check_phases(reports, phases);
        let findings = result.findings.iter().map(ToString::to_string);
        let texts: Vec<String> = findings.chain(result.inconclusive).collect();
        assert_eq!(texts.len(), expected.len(), "{texts:?}");
        for (text, expected) in texts.iter().zip(expected) {
            assert!(text.contains(expected), "{text}");
        }
    }

    fn checks() -> Checks {
        Checks::new(Assert::unset(), Assert::defaults(Chosen::Tcg))
    }

    const LATENCY: Assert = Assert { max_p99_wake_latency_ns: Some(1), ..Assert::unset() };

    #[test]
    fn only_what_is_asked_for_must_be_there() {
        check(&checks(), vec![], vec![gap(3)], &[]);
        check(&checks(), vec![], vec![], &["no worker reported anything"]);
        check(
            &checks().with(LATENCY),
            vec![],
            vec![gap(3)],
            &["max_p99_wake_latency_ns could not be checked: no worker waited for anything"],
        );
        check(&Checks::new(Assert::unset(), LATENCY), vec![], vec![gap(3)], &[]);
    }

    #[test]
    fn what_is_asked_for_is_in_place_of_the_default() {
        let no_gap = |max_gap_ms| Assert { max_gap_ms: Some(max_gap_ms), ..Assert::unset() };
        check(&checks(), vec![], vec![gap(2000)], &["max_gap_ms: worker 0"]);
        check(&checks().with(no_gap(3000)), vec![], vec![gap(2000)], &[]);
        check(&checks().with(no_gap(3000)).with(no_gap(2)), vec![], vec![gap(3)], &["(limit 2 ms)"]);
    }

    #[test]
    fn a_finding_tells_its_phase() {
        let phases = vec![phase("before", 0, vec![]), phase("after", 1000, vec![])];
        check(
            &checks().with(Assert { max_gap_ms: Some(2), ..Assert::unset() }),
            phases,
            vec![gap(3)],
            &["max_gap_ms: in phase after: worker 0"],
        );
    }

    #[test]
    fn a_phase_has_what_is_asked_for_it() {
        let strict = Assert { max_gap_ms: Some(2), ..LATENCY };
        let checks = checks().for_phase("after", strict);
        let phases = |after: &str| vec![phase("before", 0, vec![gap(3)]), phase(after, 1000, vec![gap(3)])];
        check(
            &checks,
            phases("after"),
            vec![gap(3)],
            &["max_gap_ms: in phase after: worker 0", "in phase after, max_p99_wake_latency_ns could not be checked"],
        );
        check(&checks, phases("later"), vec![gap(3)], &["in phase after: there was no such phase"]);
    }
}
