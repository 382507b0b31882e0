//! Programs that failed, and the numbers that they printed.

use super::found::{Found, Look, who};
use super::result::AssertResult;
use crate::verdict::Finding;
use ktstr_workload::{ProgramReport, WorkerReport};

/// Lines of its output that a finding shows.
const LAST_LINES: usize = 5;

/// Adds what came of the programs among the workers: findings, metrics, and a doubt for each number that was to be there.
pub(super) fn add(result: &mut AssertResult) {
    let reports = std::mem::take(&mut result.reports);
    let programs = || reports.iter().filter_map(|report| Some((report, report.program.as_deref()?)));
    if programs().next().is_some() {
        let looks = programs().map(|(report, program)| ended_well(report, program));
        result.findings.extend(Found::of("program_ends_well", "no program ended", looks).findings);
    }
    for (report, program) in programs() {
        program.metrics.iter().for_each(|(name, value)| result.add_metric(name, *value));
        let doubt = |(name, why)| format!("{}: no value for the metric {name}: {why}", who(report));
        result.inconclusive.extend(program.unread.iter().map(doubt));
    }
    result.reports = reports;
}

fn ended_well(report: &WorkerReport, program: &ProgramReport) -> Look {
    let Some(failure) = program.failure() else { return Look::Holds };
    let text = if program.stderr.trim().is_empty() { &program.stdout } else { &program.stderr };
    let lines: Vec<&str> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].iter().map(|line| format!("it printed: {line}"));
    let measured = format!("{}, {failure}, at {:.6} s of guest time", who(report), program.ended_ns as f64 / 1e9);
    // The first that failed is told first.
    Look::Breaks(-(program.ended_ns as f64), Finding::new("program_ends_well", measured).with_evidence(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::worker;
    use ktstr_workload::ProgramEnd;

    fn program(end: ProgramEnd, stderr: &str, metric: f64) -> WorkerReport {
        let program = ProgramReport {
            argv: vec!["hackbench".to_owned()],
            end,
            ended_ns: 1_500_000_000,
            stopped: false,
            stdout: "one\ntwo\n".to_owned(),
            stderr: stderr.to_owned(),
            metrics: [("time_s".to_owned(), metric)].into(),
            unread: [("lost".to_owned(), "nothing matches".to_owned())].into(),
        };
        WorkerReport { program: Some(Box::new(program)), ..worker("a", 0) }
    }

    #[test]
    fn a_program_that_fails_is_found_and_its_numbers_are_kept() {
        let reports = vec![program(ProgramEnd::Exited(0), "", 1.0), program(ProgramEnd::Signal(11), "bad\n", 2.0)];
        let mut result = AssertResult { reports: reports.clone(), ..AssertResult::default() };
        add(&mut result);
        assert_eq!(result.reports, reports);
        let findings: Vec<String> = result.findings.iter().map(ToString::to_string).collect();
        let expected = "program_ends_well: worker 0 (pid 42) of cgroup a, `hackbench` was ended by signal 11, at 1.500000 \
                        s of guest time\n    it printed: bad";
        assert_eq!(findings, [expected]);
        assert_eq!(result.inconclusive.len(), 2);
        assert!(result.inconclusive[0].contains("no value for the metric lost: nothing matches"));
        assert_eq!(result.metrics, [("time_s".to_owned(), 1.0), ("time_s#2".to_owned(), 2.0)].into());
    }
}
