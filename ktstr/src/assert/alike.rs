//! Workers that should be served alike.

use ktstr_workload::WorkerReport;
use std::collections::HashSet;

/// Workers of one cgroup that do the same in the same way, in the order of their reports; those that were not there in
/// the time that was measured are left out.
pub(super) fn groups(reports: &[WorkerReport]) -> Vec<Vec<&WorkerReport>> {
    let mut groups: Vec<(HashSet<u32>, Vec<&WorkerReport>)> = Vec::new();
    for report in reports.iter().filter(|report| report.wall_time_ns > 0) {
        // Each group of workers counts its own from 0, so a number that comes again belongs to another group.
        let group = groups.iter_mut().find(|(indices, members)| {
            let first = members[0];
            !indices.contains(&report.index) && first.cgroup == report.cgroup && first.work == report.work
        });
        match group {
            Some((indices, members)) => {
                indices.insert(report.index);
                members.push(report);
            }
            None => groups.push((HashSet::from([report.index]), vec![report])),
        }
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_again_is_of_another_group() {
        let worker = |cgroup: &str, work: &str, index| WorkerReport {
            cgroup: cgroup.to_owned(),
            work: work.to_owned(),
            index,
            wall_time_ns: 1,
            ..WorkerReport::default()
        };
        let absent = WorkerReport { wall_time_ns: 0, ..worker("a", "spin", 2) };
        let reports = [
            worker("a", "spin", 0),
            worker("a", "spin", 1),
            worker("a", "spin", 0),
            worker("a", "sleep", 0),
            worker("b", "spin", 0),
            worker("a", "spin", 1),
            absent,
        ];
        let counts: Vec<usize> = groups(&reports).iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 2, 1, 1]);
    }
}
