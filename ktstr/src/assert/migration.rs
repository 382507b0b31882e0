//! Workers that change their CPU too often.

use super::found::{Found, Look, exceeds, when, who};
use crate::verdict::Finding;
use ktstr_workload::WorkerReport;

/// Migrations in a round of its work, of each worker. It is never charged to the host: that a vCPU stands still for a while
/// is a reason for a task to move once.
pub(super) fn max_ratio(limit: f64, reports: &[WorkerReport]) -> Found {
    Found::of(
        "max_migration_ratio",
        "no worker did a round of its work",
        reports.iter().map(|report| ratio(report, limit)),
    )
}

fn ratio(report: &WorkerReport, limit: f64) -> Look {
    if report.iterations == 0 {
        return Look::NoData;
    }
    let ratio = report.migrations as f64 / report.iterations as f64;
    if !exceeds(ratio, limit) {
        return Look::Holds;
    }
    let measured = format!(
        "{} changed its CPU {} times in {} rounds of its work {} (limit {limit} times a round)",
        who(report),
        report.migrations,
        report.iterations,
        when(report)
    );
    let evidence = format!("it was on CPUs {}", report.cpus_visited);
    Look::Breaks(ratio, Finding::new("max_migration_ratio", measured).with_evidence([evidence]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{expect, worker};

    #[test]
    fn more_migrations_in_a_round_than_the_limit_are_found() {
        let moved = |migrations, iterations| WorkerReport { migrations, iterations, ..worker("a", 0) };
        expect(max_ratio(0.1, &[moved(10, 100)]), &[]);
        expect(max_ratio(0.1, &[moved(11, 100), moved(9, 0)]), &["changed its CPU 11 times in 100 rounds"]);
        expect(max_ratio(0.1, &[moved(9, 0)]), &["? no worker did a round"]);
    }
}
