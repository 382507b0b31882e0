//! How many tests came out how.

use crate::runs::Run;
use ktstr::{Record, Settings, Verdict, variant_name};
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
    /// Tests, or variants of them, that should have left a record and have not.
    pub(super) absent: Vec<String>,
}

impl Tally {
    /// Counts, with the skips that `settings` allows and the tests that are `expected`, whole or by the names of variants. A
    /// test's record tells of its other profiles: they are expected, too.
    pub(super) fn of(run: &Run, settings: &Settings, expected: &[&str]) -> Self {
        let mut tally = Self { failed: run.damaged.len(), ..Self::default() };
        for record in run.records() {
            match &record.verdict {
                Verdict::Pass => tally.passed += 1,
                Verdict::Skip { .. } if settings.skip_is_allowed(&record.name()) => tally.skipped += 1,
                Verdict::Skip { .. } | Verdict::Fail { .. } | Verdict::Inconclusive { .. } => tally.failed += 1,
            }
        }
        let there = there(run);
        let whole = expected.iter().map(|test| (*test).to_owned());
        let siblings = run.records().flat_map(siblings);
        tally.absent = whole.chain(siblings).filter(|name| !there.contains(name)).collect();
        let mut told = HashSet::new();
        tally.absent.retain(|name| told.insert(name.clone()));
        tally.failed += tally.absent.len();
        tally
    }
}

/// Tests that left a record, and their variants.
fn there(run: &Run) -> HashSet<String> {
    let whole = run.records().flat_map(|record| [record.name(), record.variant()]);
    let damaged = run.damaged.iter().flat_map(|damaged| {
        let name = damaged.test.split_once(", profile ").map_or(damaged.test.as_str(), |(name, _)| name);
        [name.to_owned(), damaged.test.clone()]
    });
    whole.chain(damaged).collect()
}

/// The test with each profile that was to run in the record's process.
fn siblings(record: &Record) -> impl Iterator<Item = String> {
    record.host.profiles.iter().map(|profile| variant_name(&record.name(), Some(profile)))
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

    #[test]
    fn a_profile_without_a_record_is_absent() {
        let profile = |text: &str| text.parse::<ktstr::Profile>().unwrap();
        let with = |text: &str| {
            let mut record = Record { profile: Some(profile(text)), ..record("a", Verdict::Pass) };
            record.host.profiles = ["plain", "llc", "llc+steal"].map(profile).to_vec();
            record
        };
        let mut run = run([with("plain"), with("llc")]);
        let check = |run: &Run, expected: &[&str], absent: &[&str]| {
            assert_eq!(Tally::of(run, &settings(&[]), expected).absent, absent);
        };
        check(&run, &["a"], &["a, profile llc+steal"]);
        check(&run, &["a, profile llc", "a, profile llc+steal"], &["a, profile llc+steal"]);
        run.damaged.push(Damaged { file: "a.json".into(), test: "a, profile llc+steal".into(), why: "EOF".into() });
        check(&run, &["a"], &[]);
        run.whole.clear();
        check(&run, &["a"], &[]);
    }
}
