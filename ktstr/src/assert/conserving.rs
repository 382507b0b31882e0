//! CPUs that are idle while a worker waits.

use super::found::{Found, Look, seconds, who};
use super::result::PhaseReports;
use crate::facts::{CgroupFacts, CpuFacts};
use ktstr_workload::WorkerReport;

/// Idle time is told in steps of 10 ms, CPU time to within a tick, and a task that begins to run is moved to an idle CPU
/// within a few ticks.
const TOLERANCE_NS: u64 = 100_000_000;

/// A worker that did not want a CPU for a larger share of the phase says too little.
const MOST_BLOCKED_SHARE: f64 = 0.1;

/// A worker that wanted a CPU nearly all the time.
struct Eager<'a> {
    report: &'a WorkerReport,
    /// For how long at most it did not want one.
    blocked_ns: u64,
}

/// In each phase, idle time of CPUs against the running time of workers that never had enough.
///
/// As long as a CPU of its cgroup is idle, a worker that wants to run does run, so it ran at least as long as any CPU that it
/// may use was idle. With as many such workers as CPUs, one of them waits whenever a CPU is idle. Both show only what the
/// totals of a phase prove, never more than there was. It is charged to the host when the host took as much from a vCPU.
pub(super) fn work_conserving(phases: &[&PhaseReports]) -> Found {
    let looks = phases.iter().filter(|phase| phase.length_ns > TOLERANCE_NS).flat_map(|phase| {
        let cgroups = phase.cgroups.iter().map(|facts| (facts, eager(phase, facts)));
        let pairs = cgroups.flat_map(|(facts, eager)| {
            phase.cpus.iter().map(move |cpu| idle(phase, facts, &eager, cpu)).collect::<Vec<_>>()
        });
        pairs.collect::<Vec<_>>()
    });
    Found::of("work_conserving", "in no phase did a worker want a CPU all the time", looks)
}

/// The eager workers of the cgroup itself, unless they may be held back by what is not the scheduler's.
fn eager<'a>(phase: &'a PhaseReports, facts: &CgroupFacts) -> Vec<Eager<'a>> {
    if phase.settled(&facts.cgroup).is_none() || phase.has_quota(&facts.cgroup) {
        return Vec::new();
    }
    let cgroup = facts.cgroup.clone();
    phase.workers(&facts.cgroup).filter(move |report| report.cgroup == cgroup).filter_map(Eager::of).collect()
}

impl<'a> Eager<'a> {
    fn of(report: &'a WorkerReport) -> Option<Self> {
        let accounted = report.run_delay_ns.map(|delay_ns| report.cpu_time_ns + delay_ns);
        // The kernel adds up a wait when it is over. Who was runnable and has not given up its CPU since was runnable all the
        // time, even if it waits still.
        let blocked_ns = match (report.voluntary_switches, report.runnable_at_ends) {
            (Some(0), Some(true)) => 0,
            _ => report.wall_time_ns.saturating_sub(accounted?),
        };
        (blocked_ns as f64 <= MOST_BLOCKED_SHARE * report.wall_time_ns as f64).then_some(Self { report, blocked_ns })
    }

    fn may_use(&self, cpu: u32) -> bool {
        self.report.affinity.as_ref().is_none_or(|affinity| affinity.contains(cpu))
    }
}

/// How long a worker of the cgroup waited while the CPU was idle, at least.
fn idle(phase: &PhaseReports, facts: &CgroupFacts, eager: &[Eager<'_>], cpu: &CpuFacts) -> Look {
    let idle_ns = cpu.idle_ms * 1_000_000;
    let may = eager.iter().filter(|worker| worker.may_use(cpu.cpu));
    let Some(least) = may.min_by_key(|worker| worker.report.cpu_time_ns + worker.blocked_ns) else {
        return Look::NoData;
    };
    if !facts.cpuset.contains(cpu.cpu) || !cpu.online {
        return Look::NoData;
    }
    let by_one_ns = idle_ns.saturating_sub(least.report.cpu_time_ns + least.blocked_ns);
    let free = || eager.iter().filter(|worker| worker.report.affinity.is_none());
    let enough = free().count() >= facts.cpuset.iter().count();
    let by_all_ns = if enough { idle_ns.saturating_sub(free().map(|worker| worker.blocked_ns).sum()) } else { 0 };
    let waited_ns = by_one_ns.max(by_all_ns);
    if waited_ns <= TOLERANCE_NS {
        return Look::Holds;
    }
    let measured = format!(
        "CPU {} was idle for {:.3} s of {:.3} s; for {:.3} s of that at least, a worker of cgroup {} waited that may run there",
        cpu.cpu,
        seconds(idle_ns),
        seconds(phase.length_ns),
        seconds(waited_ns),
        facts.cgroup
    );
    let line = |worker: &Eager<'_>| {
        format!("{} ran {:.3} s and hardly ever slept", who(worker.report), seconds(worker.report.cpu_time_ns))
    };
    let mut evidence = vec![line(least)];
    if enough {
        evidence.push(format!("{} such workers share CPUs {}", free().count(), facts.cpuset));
    }
    let finding = phase.finding("work_conserving", measured, (waited_ns - TOLERANCE_NS) as f64);
    Look::Breaks(waited_ns as f64, finding.with_evidence(evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{cgroup, expect, phase, worker};
    use ktstr_workload::CpuMax;

    /// Workers of cgroup a that ran for so long of 2 s, on CPUs 0 and 1 that were idle for so long.
    fn check(ran_ms: &[u64], idle_ms: [u64; 2], expected: &[&str]) {
        check_on(cgroup("a", "0-1"), ran_ms.iter().map(|ms| ran(*ms)).collect(), idle_ms, expected);
    }

    fn ran(ms: u64) -> WorkerReport {
        let runnable_at_ends = Some(true);
        WorkerReport { cpu_time_ns: ms * 1_000_000, voluntary_switches: Some(0), runnable_at_ends, ..worker("a", 0) }
    }

    fn check_on(facts: CgroupFacts, reports: Vec<WorkerReport>, idle_ms: [u64; 2], expected: &[&str]) {
        let cpus = (0..).zip(idle_ms).map(|(cpu, idle_ms)| CpuFacts { cpu, online: true, idle_ms });
        let phase = PhaseReports { cpus: cpus.collect(), ..phase([facts], reports) };
        expect(work_conserving(&[&phase]), expected);
    }

    #[test]
    fn a_worker_runs_at_least_as_long_as_a_cpu_of_its_own_is_idle() {
        check(&[1900], [0, 2000], &[]);
        check(
            &[1000],
            [0, 1200],
            &["CPU 1 was idle for 1.200 s of 2.000 s; for 0.200 s of that at least, a worker of cgroup a waited"],
        );
    }

    #[test]
    fn with_as_many_workers_as_cpus_none_is_idle() {
        check(&[1950, 1950], [100, 90], &[]);
        check(&[1900, 1300], [0, 110], &["for 0.110 s of that"]);
        check(&[2000, 1000, 1000], [0, 900], &["CPU 1 was idle for 0.900 s"]);
    }

    #[test]
    fn workers_that_sleep_or_are_held_back_say_nothing() {
        let idle = [0, 2000];
        let sleeper = WorkerReport { run_delay_ns: Some(0), voluntary_switches: Some(9), ..ran(1000) };
        check_on(cgroup("a", "0-1"), vec![sleeper], idle, &["? in no phase did a worker"]);
        // Stopped by a signal before the phase, and let go on within it.
        let stopped = WorkerReport { run_delay_ns: Some(0), runnable_at_ends: Some(false), ..ran(500) };
        check_on(cgroup("a", "0-1"), vec![stopped], idle, &["? in no phase did a worker"]);
        let max = Some(CpuMax { quota_us: 1, period_us: 1 });
        check_on(CgroupFacts { max, ..cgroup("a", "0-1") }, vec![ran(10)], idle, &["? in no phase"]);
        check_on(CgroupFacts { frozen: true, ..cgroup("a", "0-1") }, vec![ran(10)], idle, &["? in no phase"]);
        let bound = WorkerReport { affinity: Some([0].into_iter().collect()), ..ran(10) };
        check_on(cgroup("a", "0-1"), vec![bound.clone()], idle, &[]);
        check_on(cgroup("a", "0"), vec![ran(10)], idle, &[]);
        check_on(cgroup("a", "0-1"), vec![bound], [2000, 0], &["CPU 0 was idle"]);
    }

    #[test]
    fn one_that_slept_a_little_counts_less() {
        let nearly = WorkerReport { run_delay_ns: Some(850_000_000), voluntary_switches: Some(3), ..ran(1000) };
        check_on(cgroup("a", "0-1"), vec![nearly.clone()], [0, 1240], &[]);
        check_on(cgroup("a", "0-1"), vec![nearly], [0, 1260], &["for 0.110 s of that"]);
    }
}
