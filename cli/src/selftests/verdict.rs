//! What a run of the selftests comes to.

use super::parse::{Outcome, Parsed, Totals};
use ktstr::Finding;

/// How the runner's process, or its machine, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With this exit code.
    Code(i32),
    /// In another way, told in words.
    Other(String),
}

/// The whole run in a word, and why where it is not a pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Fail(Vec<String>),
    Inconclusive(Vec<String>),
}

/// Failures outweigh doubts, and any doubt outweighs a pass.
pub(super) fn judge(parsed: &Parsed, end: &End, kernel: &[Finding]) -> Verdict {
    let failed = parsed.cases.iter().filter(|case| case.outcome == Outcome::Fail);
    let mut failures: Vec<String> = failed.map(|case| format!("{} failed", case.name)).collect();
    failures.extend(kernel.iter().map(|finding| finding.measured.clone()));
    if !failures.is_empty() {
        return Verdict::Fail(failures);
    }
    let doubts = doubts(parsed, end);
    if doubts.is_empty() { Verdict::Pass } else { Verdict::Inconclusive(doubts) }
}

/// What does not fit a run in which nothing failed.
fn doubts(parsed: &Parsed, end: &End) -> Vec<String> {
    let unknown = parsed.cases.iter().filter(|case| case.outcome == Outcome::Unknown);
    let mut doubts: Vec<String> = unknown.map(|case| format!("{} has no result", case.name)).collect();
    match end {
        End::Code(0) => {}
        End::Code(code) => doubts.push(format!("the runner exited with {code}, and yet no test has failed")),
        End::Other(how) => doubts.push(how.clone()),
    }
    let count = |outcome| parsed.cases.iter().filter(|case| case.outcome == outcome).count() as u64;
    let seen = Totals { passed: count(Outcome::Pass), skipped: count(Outcome::Skip), failed: count(Outcome::Fail) };
    match parsed.totals {
        None => doubts.push("the runner has not printed its results".to_owned()),
        Some(told) if told != seen => doubts.push(format!(
            "the runner counts {} passed, {} skipped and {} failed, its lines say {}, {} and {}",
            told.passed, told.skipped, told.failed, seen.passed, seen.skipped, seen.failed
        )),
        Some(_) if seen.passed == 0 => doubts.push("no test has passed".to_owned()),
        Some(_) => {}
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::super::parse::Case;
    use super::*;

    fn parsed(outcomes: &[Outcome]) -> Parsed {
        let case = |outcome: &Outcome| Case { name: "t".into(), outcome: *outcome, seconds: None, output: Vec::new() };
        let count = |wanted| outcomes.iter().filter(|outcome| **outcome == wanted).count() as u64;
        let totals =
            Totals { passed: count(Outcome::Pass), skipped: count(Outcome::Skip), failed: count(Outcome::Fail) };
        Parsed { cases: outcomes.iter().map(case).collect(), totals: Some(totals) }
    }

    fn check(parsed: &Parsed, end: End, expected: Verdict) {
        assert_eq!(judge(parsed, &end, &[]), expected);
    }

    fn inconclusive(why: &str) -> Verdict {
        Verdict::Inconclusive(vec![why.to_owned()])
    }

    #[test]
    fn one_failure_fails_the_run() {
        check(&parsed(&[Outcome::Pass, Outcome::Skip]), End::Code(0), Verdict::Pass);
        let failed = parsed(&[Outcome::Pass, Outcome::Fail]);
        check(&failed, End::Code(1), Verdict::Fail(vec!["t failed".to_owned()]));
        check(&failed, End::Other("the machine ended".to_owned()), Verdict::Fail(vec!["t failed".to_owned()]));
    }

    #[test]
    fn what_could_not_be_told_is_no_pass() {
        check(&parsed(&[Outcome::Skip]), End::Code(0), inconclusive("no test has passed"));
        check(
            &parsed(&[Outcome::Pass]),
            End::Code(1),
            inconclusive("the runner exited with 1, and yet no test has failed"),
        );
        let without = Parsed { totals: None, ..parsed(&[Outcome::Pass]) };
        check(&without, End::Code(0), inconclusive("the runner has not printed its results"));
        let more = Parsed { totals: Some(Totals { passed: 2, ..Totals::default() }), ..parsed(&[Outcome::Pass]) };
        let words = "the runner counts 2 passed, 0 skipped and 0 failed, its lines say 1, 0 and 0";
        check(&more, End::Code(0), inconclusive(words));
        let Verdict::Inconclusive(doubts) = judge(&parsed(&[Outcome::Unknown]), &End::Other("x".into()), &[]) else {
            panic!("a test without result is a doubt")
        };
        assert_eq!(doubts, ["t has no result", "x", "no test has passed"]);
    }

    #[test]
    fn a_sick_kernel_fails_the_run() {
        let sick = [Finding::new("kernel_healthy", "kernel warning on the console".to_owned())];
        let verdict = judge(&parsed(&[Outcome::Pass]), &End::Code(0), &sick);
        assert_eq!(verdict, Verdict::Fail(vec!["kernel warning on the console".to_owned()]));
    }
}
