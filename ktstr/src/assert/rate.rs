//! Workers that get too little done.

use super::found::{Found, Look, exceeds, when, who, whole};
use crate::verdict::Finding;
use ktstr_workload::WorkerReport;

/// Units of work in a second, of each worker. It is charged to the host when they would be enough for what the host left of
/// the time.
pub(super) fn min_work_rate(limit: f64, reports: &[WorkerReport]) -> Found {
    let looks = reports.iter().map(|report| rate("min_work_rate", "units of work", report, report.work_units, limit));
    Found::of("min_work_rate", "no worker was there", looks)
}

/// Rounds of its work in a second, of each worker; charged to the host in the same way.
pub(super) fn min_iteration_rate(limit: f64, reports: &[WorkerReport]) -> Found {
    let looks =
        reports.iter().map(|report| rate("min_iteration_rate", "rounds of its work", report, report.iterations, limit));
    Found::of("min_iteration_rate", "no worker was there", looks)
}

fn rate(asserted: &str, what: &str, report: &WorkerReport, count: u64, limit: f64) -> Look {
    if report.wall_time_ns == 0 || report.is_program() {
        return Look::NoData;
    }
    let rate = count as f64 * 1e9 / report.wall_time_ns as f64;
    if !exceeds(limit, rate) {
        return Look::Holds;
    }
    let measured = format!("{} did {rate:.1} {what} a second {} (limit {limit})", who(report), when(report));
    let could_explain_ns = (1.0 - rate / limit) * report.wall_time_ns as f64;
    Look::Breaks(-rate, Finding::new(asserted, measured).within(whole(report, could_explain_ns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{expect, worker};

    #[test]
    fn too_little_work_in_a_second_is_found() {
        let slow = [WorkerReport { work_units: 199, iterations: 19, ..worker("a", 0) }];
        let fast = [WorkerReport { work_units: 200, iterations: 20, ..worker("a", 1) }];
        expect(min_work_rate(100.0, &fast), &[]);
        expect(min_work_rate(100.0, &slow), &["did 99.5 units of work a second in the 2.000 s"]);
        expect(min_iteration_rate(10.0, &fast), &[]);
        expect(min_iteration_rate(10.0, &slow), &["did 9.5 rounds of its work a second"]);
        expect(min_iteration_rate(10.0, &[]), &["? no worker was there"]);
        let window = min_work_rate(398.0, &slow).findings[0].window.unwrap();
        assert_eq!(window.tolerable_ns, 500_000_000);
    }
}
