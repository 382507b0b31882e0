//! A run as other programs want it: a list of names, each with what came out.

use super::Run;
use ktstr::{Record, Verdict};

/// One result.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The test, and on which machine if it is one of several.
    pub(crate) name: String,
    /// What came out.
    pub(crate) verdict: Verdict,
    /// The record, where there is one.
    pub(crate) record: Option<&'a Record>,
}

/// All results of a run. Tests without a record that can be read, and a runner that failed for none of these reasons, are
/// results, too.
pub(crate) fn cases<'a>(run: &'a Run, absent: &[String], runner_passed: bool) -> Vec<Case<'a>> {
    let whole = run.records().map(|record| Case {
        name: record.title(),
        verdict: record.verdict.clone(),
        record: Some(record),
    });
    let damaged = run.damaged.iter().map(|damaged| (damaged.test.clone(), damaged.verdict()));
    let absent = absent.iter().map(|test| {
        let reason = "there is no record: it did not run, or it did not end".to_owned();
        (test.clone(), Verdict::Inconclusive { reason })
    });
    let rest = damaged.chain(absent).map(|(name, verdict)| Case { name, verdict, record: None });
    let mut cases: Vec<Case<'a>> = whole.chain(rest).collect();
    let explained = cases.iter().any(|case| case.verdict != Verdict::Pass);
    let runner = match (runner_passed, cases.is_empty()) {
        (_, true) => Some("no scheduler test has run"),
        (false, _) if !explained => Some("the test runner failed, and no record says why"),
        _ => None,
    };
    cases.extend(runner.map(|reason| Case {
        name: "test runner".to_owned(),
        verdict: Verdict::Inconclusive { reason: reason.to_owned() },
        record: None,
    }));
    cases
}

#[cfg(test)]
mod tests {
    use super::super::tests::{record, run};
    use super::super::{Damaged, Run};
    use super::*;

    fn check(run: &Run, absent: &[String], runner_passed: bool, expected: &[(&str, &str)]) {
        let cases = cases(run, absent, runner_passed);
        let got: Vec<(&str, &str)> = cases.iter().map(|case| (case.name.as_str(), case.verdict.word())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn nothing_that_went_wrong_is_left_out() {
        let pass = ("a", "Pass");
        let mut one = run([record("a", Verdict::Pass)]);
        check(&one, &[], true, &[pass]);
        check(&one, &["b".to_owned()], true, &[pass, ("b", "Inconclusive")]);
        check(&one, &[], false, &[pass, ("test runner", "Inconclusive")]);
        one.damaged.push(Damaged { file: "c.json".into(), test: "c".into(), why: "EOF".into() });
        check(&one, &[], false, &[pass, ("c", "Inconclusive")]);
        check(&Run::default(), &[], true, &[("test runner", "Inconclusive")]);
    }
}
