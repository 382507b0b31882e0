//! Wakeups that come late.

use super::found::{Found, Look, exceeds, seconds, when, who, whole};
use crate::verdict::Finding;
use ktstr_workload::{LatencyHistogram, WorkerReport};

/// The share of wakeups that [`max_p99`] looks at.
const SHARE: f64 = 0.99;

const NO_DATA: &str = "no worker waited for anything";

/// The 99th percentile of each worker's wake latencies. It is charged to the host when the host took from a vCPU what the
/// wakeups that are too many were late.
pub(super) fn max_p99(limit_ns: u64, reports: &[WorkerReport]) -> Found {
    Found::of("max_p99_wake_latency_ns", NO_DATA, reports.iter().map(|report| p99(report, limit_ns)))
}

fn p99(report: &WorkerReport, limit_ns: u64) -> Look {
    let latencies = &report.wake_latency;
    let Some(p99_ns) = latencies.quantile_ns(SHARE) else { return Look::NoData };
    if p99_ns <= limit_ns {
        return Look::Holds;
    }
    let measured = format!("99 % of the wakeups of {} were up to {p99_ns} ns late (limit {limit_ns} ns)", who(report));
    let finding = Finding::new("max_p99_wake_latency_ns", measured).with_evidence([distribution(report)]);
    Look::Breaks(p99_ns as f64, finding.within(whole(report, lateness_ns(latencies, limit_ns))))
}

/// The least by which late wakeups would have had to be earlier for enough of all to be in time.
fn lateness_ns(latencies: &LatencyHistogram, limit_ns: u64) -> f64 {
    let late = || latencies.pairs().filter(|(latency_ns, _)| *latency_ns > limit_ns);
    let allowed = (latencies.len() as f64 * (1.0 - SHARE)) as u64;
    let mut too_many = late().map(|(_, count)| count).sum::<u64>().saturating_sub(allowed);
    let mut sum_ns = 0.0;
    for (latency_ns, count) in late() {
        let counted = count.min(too_many);
        too_many -= counted;
        sum_ns += (latency_ns - limit_ns) as f64 * counted as f64;
    }
    sum_ns
}

/// How much each worker's wake latencies vary. It is charged to the host when the host took from a vCPU as much as one
/// wakeup, being late by that, makes them vary too much.
pub(super) fn max_cv(limit: f64, reports: &[WorkerReport]) -> Found {
    Found::of("max_wake_latency_cv", NO_DATA, reports.iter().map(|report| cv(report, limit)))
}

fn cv(report: &WorkerReport, limit: f64) -> Look {
    let latencies = &report.wake_latency;
    let (Some(cv), Some(mean_ns)) = (latencies.coefficient_of_variation(), latencies.mean_ns()) else {
        return Look::NoData;
    };
    if !exceeds(cv, limit) {
        return Look::Holds;
    }
    let measured =
        format!("the wake latencies of {} have a coefficient of variation of {cv:.3} (limit {limit})", who(report));
    let finding = Finding::new("max_wake_latency_cv", measured).with_evidence([distribution(report)]);
    let one_late_ns = mean_ns * (latencies.len() as f64 * (cv * cv - limit * limit)).max(0.0).sqrt();
    Look::Breaks(cv, finding.within(whole(report, one_late_ns)))
}

fn distribution(report: &WorkerReport) -> String {
    let latencies = &report.wake_latency;
    let at = |share| latencies.quantile_ns(share).map_or(f64::NAN, |ns| seconds(ns) * 1e6);
    format!(
        "{} wakeups {}: half of them within {:.1} µs, 90 % {:.1}, 99 % {:.1}, all {:.1}",
        latencies.len(),
        when(report),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{expect, worker};

    fn woken(latencies: &[(u64, u64)]) -> WorkerReport {
        let mut report = worker("a", 0);
        latencies.iter().for_each(|(latency_ns, count)| report.wake_latency.record(*latency_ns, *count));
        report
    }

    #[test]
    fn late_wakeups_are_found_when_they_are_more_than_one_in_a_hundred() {
        let limit_ns = 1_000_000;
        expect(max_p99(limit_ns, &[woken(&[(1000, 99), (5_000_000, 1)])]), &[]);
        expect(
            max_p99(limit_ns, &[worker("a", 1), woken(&[(1000, 98), (5_000_000, 2)])]),
            &["99 % of the wakeups of worker 0 (pid 42) of cgroup a were up to 50"],
        );
        expect(max_p99(limit_ns, &[worker("a", 0)]), &["? no worker waited for anything"]);
    }

    #[test]
    fn the_host_must_explain_each_wakeup_that_is_too_many() {
        let latencies = woken(&[(1000, 196), (3_000_000, 1), (5_000_000, 3)]).wake_latency;
        let expected_ns = 2_000_000.0 + 4_000_000.0;
        let got_ns = lateness_ns(&latencies, 1_000_000);
        assert!((got_ns / expected_ns - 1.0).abs() < 0.02, "{got_ns}");
    }

    #[test]
    fn latencies_that_vary_are_found() {
        // Mean 100, standard deviation 50.
        let varied = || woken(&[(50, 10), (150, 10)]);
        expect(max_cv(0.51, &[varied()]), &[]);
        expect(max_cv(0.4, &[varied()]), &["a coefficient of variation of 0.5"]);
        expect(max_cv(0.5, &[worker("a", 0)]), &["? no worker waited"]);
    }
}
