//! Workers that should be served alike.

use ktstr_workload::WorkerReport;

/// Beginning and end of workers that were there together differ by at most this share of their time.
const SAME_TIME_SHARE: f64 = 0.05;

/// Workers of one cgroup that do the same at the same time and are scheduled by the same rules, in the order of their reports; those that
/// were not there in the time that was measured are left out, and so are programs, which may do anything.
pub(super) fn groups(reports: &[WorkerReport]) -> Vec<Vec<&WorkerReport>> {
    let mut groups: Vec<Vec<&WorkerReport>> = Vec::new();
    for report in reports.iter().filter(|report| report.wall_time_ns > 0 && !report.is_program()) {
        match groups.iter_mut().find(|group| are_alike(group[0], report)) {
            Some(group) => group.push(report),
            None => groups.push(vec![report]),
        }
    }
    groups
}

/// A worker that ran or waited for a CPU in at least this share of its time wanted one all the time.
const BUSY_SHARE: f64 = 0.9;

/// Whether it wanted a CPU all the time, as far as the kernel tells. A wait that is still open is in no account, but one that
/// never gave up its CPU always wanted one.
pub(super) fn is_busy(report: &WorkerReport) -> bool {
    report.voluntary_switches == Some(0)
        || report
            .run_delay_ns
            .is_none_or(|delay_ns| (report.cpu_time_ns + delay_ns) as f64 >= BUSY_SHARE * report.wall_time_ns as f64)
}

fn are_alike(one: &WorkerReport, other: &WorkerReport) -> bool {
    let rules = |report: &WorkerReport| (report.policy, report.nice);
    one.cgroup == other.cgroup
        && one.work == other.work
        && rules(one) == rules(other)
        && one.affinity == other.affinity
        && are_together(one, other)
}

/// Those that came earlier or stayed longer may have had fewer others beside them.
fn are_together(one: &WorkerReport, other: &WorkerReport) -> bool {
    let end_ns = |report: &WorkerReport| report.from_ns + report.wall_time_ns;
    let most_ns = (one.wall_time_ns as f64 * SAME_TIME_SHARE) as u64;
    one.from_ns.abs_diff(other.from_ns) <= most_ns && end_ns(one).abs_diff(end_ns(other)) <= most_ns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::worker;
    use ktstr_workload::SchedPolicy;

    #[test]
    fn workers_differ_by_what_they_do_and_how_they_are_scheduled() {
        let a = || worker("a", 0);
        let reports = [
            a(),
            a(),
            WorkerReport { work: "io_sync".to_owned(), ..a() },
            WorkerReport { nice: 1, ..a() },
            WorkerReport { policy: SchedPolicy::Batch, ..a() },
            WorkerReport { affinity: Some([1].into_iter().collect()), ..a() },
            worker("b", 0),
            WorkerReport { wall_time_ns: 0, ..a() },
            WorkerReport { from_ns: a().from_ns + 101_000_000, ..a() },
            WorkerReport { wall_time_ns: a().wall_time_ns - 99_000_000, ..a() },
        ];
        let counts: Vec<usize> = groups(&reports).iter().map(Vec::len).collect();
        assert_eq!(counts, [3, 1, 1, 1, 1, 1, 1]);
    }
}
