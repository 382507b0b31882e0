//! Workers that are alike and are not served alike.

use super::alike::{self, is_busy};
use super::found::{Found, Look, exceeds, who, whole};
use crate::verdict::Finding;
use ktstr_workload::WorkerReport;

/// Shares of a shorter time say more of when each worker had its turn than of what it gets.
const FAIR_AFTER_NS: u64 = 500_000_000;

const NO_TWO: &str = "no two workers are alike";

/// CPU shares of workers that are alike. It is charged to the host when the host took as much from a vCPU as the spread is
/// above the limit.
pub(super) fn max_spread(limit_pct: f64, reports: &[WorkerReport]) -> Found {
    let groups = alike::groups(reports);
    Found::of("max_spread_pct", NO_TWO, groups.iter().map(|group| spread(group, limit_pct)))
}

/// The same of workers that want a CPU all the time and were there for long enough to have their turns: those that sleep
/// use as much as their work takes, not as they get.
pub(super) fn max_spread_of_busy(limit_pct: f64, reports: &[WorkerReport]) -> Found {
    let counts = |report: &&WorkerReport| is_busy(report) && report.wall_time_ns >= FAIR_AFTER_NS;
    let groups = alike::groups(reports).into_iter().filter(|group| group.iter().all(counts));
    Found::of("max_spread_pct", NO_TWO, groups.map(|group| spread(&group, limit_pct)))
}

fn spread(group: &[&WorkerReport], limit_pct: f64) -> Look {
    let Some((least, most)) = extremes(group, share_pct) else { return Look::NoData };
    let spread_pct = share_pct(most) - share_pct(least);
    if !exceeds(spread_pct, limit_pct) {
        return Look::Holds;
    }
    let measured = format!(
        "in cgroup {} the CPU shares of workers differ by {spread_pct:.1} % of a CPU (limit {limit_pct} %)",
        least.cgroup
    );
    let line = |report: &WorkerReport| format!("{} got {:.1} %", who(report), share_pct(report));
    let could_explain_ns = (spread_pct - limit_pct) / 100.0 * least.wall_time_ns as f64;
    let finding = Finding::new("max_spread_pct", measured).with_evidence([line(least), line(most)]);
    Look::Breaks(spread_pct, finding.within(whole(least, could_explain_ns)))
}

/// Work rates of workers that are alike. It is charged to the host when the host took as large a share of the time from a
/// vCPU as the coefficient is above the limit: that alone moves it by no more than half of this.
pub(super) fn max_throughput_cv(limit: f64, reports: &[WorkerReport]) -> Found {
    let groups = alike::groups(reports);
    Found::of(
        "max_throughput_cv",
        "no two workers are alike and one of them did some work",
        groups.iter().map(|group| throughput_cv(group, limit)),
    )
}

fn throughput_cv(group: &[&WorkerReport], limit: f64) -> Look {
    let Some((least, most)) = extremes(group, work_rate) else { return Look::NoData };
    let rates: Vec<f64> = group.iter().map(|report| work_rate(report)).collect();
    let Some(cv) = coefficient_of_variation(&rates) else { return Look::NoData };
    if !exceeds(cv, limit) {
        return Look::Holds;
    }
    let measured = format!(
        "in cgroup {} the work rates of {} workers have a coefficient of variation of {cv:.3} (limit {limit})",
        least.cgroup,
        group.len()
    );
    let line = |report: &WorkerReport| format!("{} did {:.0} units/s", who(report), work_rate(report));
    let could_explain_ns = (cv - limit) * least.wall_time_ns as f64;
    let finding = Finding::new("max_throughput_cv", measured).with_evidence([line(least), line(most)]);
    Look::Breaks(cv, finding.within(whole(least, could_explain_ns)))
}

/// Standard deviation as a share of the mean; `None` when that is 0.
fn coefficient_of_variation(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean > 0.0).then(|| variance.sqrt() / mean)
}

/// Those with the least and with the most of it, of two or more.
fn extremes<'a>(
    group: &[&'a WorkerReport],
    of: fn(&WorkerReport) -> f64,
) -> Option<(&'a WorkerReport, &'a WorkerReport)> {
    let by = |one: &&&WorkerReport, other: &&&WorkerReport| of(one).total_cmp(&of(other));
    let least = group.iter().min_by(by)?;
    let most = group.iter().max_by(by)?;
    (group.len() > 1).then_some((least, most))
}

/// CPU time in percent of the time that the worker could have had on one CPU.
fn share_pct(report: &WorkerReport) -> f64 {
    report.cpu_time_ns as f64 * 100.0 / report.wall_time_ns as f64
}

fn work_rate(report: &WorkerReport) -> f64 {
    report.work_units as f64 * 1e9 / report.wall_time_ns as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{expect, worker};

    /// Two workers that ran and waited for so many milliseconds out of 2000.
    fn two(accounts: [(u64, u64); 2]) -> Vec<WorkerReport> {
        let numbered = |(index, (ran_ms, waited_ms)): (usize, (u64, u64))| WorkerReport {
            cpu_time_ns: ran_ms * 1_000_000,
            work_units: ran_ms,
            run_delay_ns: Some(waited_ms * 1_000_000),
            ..worker("a", index as u32)
        };
        accounts.into_iter().enumerate().map(numbered).collect()
    }

    #[test]
    fn shares_that_differ_by_more_than_the_limit_are_found() {
        expect(max_spread(40.0, &two([(1900, 0), (1100, 0)])), &[]);
        expect(
            max_spread(39.0, &two([(1900, 0), (1100, 0)])),
            &["in cgroup a the CPU shares of workers differ by 40.0 % of a CPU (limit 39 %)"],
        );
        expect(max_spread(39.0, &[worker("a", 0), worker("b", 0)]), &["? no two workers are alike"]);
        expect(max_spread(f64::NAN, &two([(1, 0), (1, 0)])), &["limit NaN"]);
    }

    #[test]
    fn by_default_only_busy_workers_are_compared() {
        expect(max_spread_of_busy(35.0, &two([(1900, 100), (1100, 900)])), &["differ by 40.0 %"]);
        expect(max_spread_of_busy(35.0, &two([(1900, 100), (1100, 300)])), &["? no two workers are alike"]);
        let mut short = two([(400, 0), (90, 310)]);
        short.iter_mut().for_each(|report| report.wall_time_ns = 400_000_000);
        expect(max_spread_of_busy(35.0, &short), &["? no two workers are alike"]);
        expect(max_spread(35.0, &short), &["differ by 77.5 %"]);
    }

    #[test]
    fn the_host_is_to_blame_only_for_what_is_too_much() {
        let found = max_spread(35.0, &two([(1900, 0), (1100, 0)]));
        let window = found.findings[0].window.unwrap();
        // 5 % of 2 s.
        assert_eq!(window.length_ns - window.tolerable_ns, 100_000_000);
    }

    #[test]
    fn work_rates_that_vary_are_found() {
        expect(max_throughput_cv(0.2, &two([(1200, 0), (800, 0)])), &[]);
        expect(
            max_throughput_cv(0.19, &two([(1200, 0), (800, 0)])),
            &["the work rates of 2 workers have a coefficient of variation of 0.200 (limit 0.19)"],
        );
        expect(max_throughput_cv(0.2, &two([(0, 0), (0, 0)])), &["? no two workers are alike and one"]);
    }
}
