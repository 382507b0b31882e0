//! Workers that are not served.

use super::found::{Found, Look, seconds, when, who, whole};
use crate::assert::PhaseReports;
use crate::facts::OwnTime;
use crate::verdict::{Finding, Window};
use ktstr_workload::WorkerReport;

/// A worker that was there for less has not had its turn yet where a CPU has many.
const TURN_COMES_AFTER_NS: u64 = 100_000_000;

/// Every worker has done something. It is charged to the host when the host took half of the time.
pub(super) fn not_starved(reports: &[WorkerReport]) -> Found {
    Found::of("not_starved", "no worker was there for long", reports.iter().map(starved))
}

fn starved(report: &WorkerReport) -> Look {
    // A program counts no work of its own; that it ran is what can be told.
    let program_ran = report.is_program() && report.cpu_time_ns > 0;
    if report.work_units > 0 || report.iterations > 0 || program_ran {
        return Look::Holds;
    }
    if report.wall_time_ns < TURN_COMES_AFTER_NS {
        return Look::NoData;
    }
    let measured = format!("{} did no work {}", who(report), when(report));
    let finding = Finding::new("not_starved", measured).with_evidence([account(report)]);
    let window = whole(report, report.wall_time_ns as f64 / 2.0);
    Look::Breaks(report.wall_time_ns as f64, finding.within(window))
}

/// No gap is longer than this, without what the scenario itself took from the worker's CPU. It is charged to the host when it
/// would not be without what the host took from it.
pub(super) fn max_gap(limit_ms: u64, reports: &[WorkerReport], phases: &[&PhaseReports]) -> Found {
    let own: Vec<OwnTime> = phases.iter().flat_map(|phase| &phase.own).copied().collect();
    Found::of("max_gap_ms", "no worker was there", reports.iter().map(|report| gap(report, limit_ms, &own)))
}

fn gap(report: &WorkerReport, limit_ms: u64, own: &[OwnTime]) -> Look {
    let gap = report.longest_gap;
    let own_ns: u64 = own.iter().map(|own| own.within(gap.cpu, gap.from_ns, gap.length_ns)).sum();
    let tolerable_ns = limit_ms.saturating_mul(1_000_000).saturating_add(own_ns);
    if report.wall_time_ns == 0 || report.is_program() {
        return Look::NoData;
    }
    if gap.length_ns <= tolerable_ns {
        return Look::Holds;
    }
    let measured = format!(
        "{} did not run for {:.3} s, from {:.6} s of guest time on CPU {} (limit {limit_ms} ms)",
        who(report),
        seconds(gap.length_ns),
        seconds(gap.from_ns),
        gap.cpu
    );
    let window = Window { cpu: Some(gap.cpu), from_ns: gap.from_ns, length_ns: gap.length_ns, tolerable_ns };
    let finding = Finding::new("max_gap_ms", measured).with_evidence([account(report)]).within(window);
    Look::Breaks(gap.length_ns as f64, finding)
}

/// What became of a worker's time.
fn account(report: &WorkerReport) -> String {
    let waited = report.run_delay_ns.map_or_else(
        || "the kernel does not say how long it waited for a CPU".to_owned(),
        |delay_ns| format!("it waited {:.3} s for a CPU", seconds(delay_ns)),
    );
    format!("it ran {:.3} s of {:.3} s, and {waited}", seconds(report.cpu_time_ns), seconds(report.wall_time_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{expect, phase, worker};
    use ktstr_workload::Gap;

    #[test]
    fn a_worker_without_work_is_starved() {
        let idle = WorkerReport { work_units: 0, iterations: 0, ..worker("a", 0) };
        expect(
            not_starved(&[worker("a", 0), idle.clone()]),
            &["worker 0 (pid 42) of cgroup a did no work in the 2.000 s"],
        );
        expect(not_starved(&[WorkerReport { iterations: 1, ..idle.clone() }]), &[]);
        expect(not_starved(&[WorkerReport { work_units: 1, ..idle.clone() }]), &[]);
        expect(not_starved(&[WorkerReport { wall_time_ns: 99_000_000, ..idle }]), &["? no worker was there"]);
    }

    #[test]
    fn a_gap_beyond_the_limit_is_found() {
        let gap = |length_ns| WorkerReport {
            longest_gap: Gap { length_ns, from_ns: 1_500_000_000, cpu: 1 },
            ..worker("a", 0)
        };
        expect(max_gap(1000, &[gap(1_000_000_000)], &[]), &[]);
        expect(
            max_gap(1000, &[gap(1_000_000_001), gap(4_000_000_000)], &[]),
            &["did not run for 4.000 s, from 1.500000 s of guest time on CPU 1 (limit 1000 ms)", "for 1.000 s"],
        );
        expect(max_gap(1000, &[], &[]), &["? no worker was there"]);
    }

    #[test]
    fn what_the_scenario_takes_is_not_the_schedulers_fault() {
        let report = WorkerReport {
            longest_gap: Gap { length_ns: 1_500_000_000, from_ns: 1_500_000_000, cpu: 1 },
            ..worker("a", 0)
        };
        let check = |cpu, from_ms: u64, length_ms: u64, expected: &[&str]| {
            let own = vec![OwnTime { cpu, from_ns: from_ms * 1_000_000, length_ns: length_ms * 1_000_000 }];
            let phase = PhaseReports { own, ..phase([], []) };
            expect(max_gap(1000, std::slice::from_ref(&report), &[&phase]), expected);
        };
        let found: &[&str] = &["did not run for 1.500 s"];
        check(1, 1600, 500, &[]);
        check(1, 1600, 499, found);
        // Half of it before, or behind; another CPU.
        check(1, 1000, 1000, &[]);
        check(1, 900, 1000, found);
        check(1, 2600, 500, found);
        check(0, 1600, 500, found);
    }
}
