//! How many tests came out how.

use crate::runs::Run;
use ktstr::{Record, Settings, Verdict};
use std::collections::HashSet;
use std::fmt;

/// The counts of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Passes.
    pub(super) passed: usize,
    /// What is no pass: failed, inconclusive, unreadable, absent, skipped without leave.
    pub(super) failed: usize,
    /// Skips that are allowed.
    skipped: usize,
    /// Tests that should have left a record and have not.
    pub(super) absent: Vec<String>,
}

impl Tally {
    /// Counts, with the skips that `settings` allows and the tests that are `expected`.
    pub(super) fn of(run: &Run, settings: &Settings, expected: &[&str]) -> Self {
        let mut tally = Self { failed: run.damaged.len(), ..Self::default() };
        for record in run.records() {
            match &record.verdict {
                Verdict::Pass => tally.passed += 1,
                Verdict::Skip { .. } if settings.skip_is_allowed(&record.name()) => tally.skipped += 1,
                Verdict::Skip { .. } | Verdict::Fail { .. } | Verdict::Inconclusive { .. } => tally.failed += 1,
            }
        }
        let damaged = run.damaged.iter().map(|damaged| damaged.test.clone());
        let named: HashSet<String> = run.records().map(Record::name).chain(damaged).collect();
        tally.absent = expected.iter().filter(|test| !named.contains(**test)).map(|test| (*test).to_owned()).collect();
        tally.failed += tally.absent.len();
        tally
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Damaged;
    use crate::runs::tests::{record, run};

    fn settings(allow_skip: &[&str]) -> Settings {
        let allow_skip = allow_skip.iter().map(|name| (*name).to_owned()).collect();
        Settings { allow_skip, ..Settings::from_env().unwrap() }
    }

    #[test]
    fn only_a_pass_is_a_pass() {
        let inconclusive = Verdict::Inconclusive { reason: "no kernel".into() };
        let skip = Verdict::Skip { reason: "one CPU".into() };
        let mut run = run([record("a", Verdict::Pass), record("b", inconclusive), record("c", skip)]);
        run.damaged.push(Damaged { file: "d.json".into(), test: "d".into(), why: "EOF".into() });
        let count = |run: &Run, allowed: &[&str], expected: &[&str]| Tally::of(run, &settings(allowed), expected);
        assert_eq!(count(&run, &[], &[]).to_string(), "1 passed, 3 failed");
        assert_eq!(count(&run, &["c"], &["a", "d"]).to_string(), "1 passed, 2 failed, 1 skipped");
        run.damaged.clear();
        let tally = count(&run, &["c"], &["a", "e"]);
        assert_eq!((tally.failed, tally.absent), (2, vec!["e".to_owned()]));
    }
}
