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
    /// Tests, or variants of them, that should have left a record and have not; with the kernel where there are several.
    pub(super) absent: Vec<String>,
}

/// A test, or a variant of one, on a kernel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Expected {
    /// Its name as test runners have it, preset included; or that of the variant, with its profile.
    test: String,
    /// The kernel's id.
    kernel: String,
}

impl Expected {
    pub(super) fn new(test: &str, kernel: &str) -> Self {
        Self { test: test.to_owned(), kernel: kernel.to_owned() }
    }
}

impl Tally {
    /// Counts, with the skips that `settings` allows and what is `expected`, each once or more. A test's record tells of its
    /// other profiles: they are expected, too.
    pub(super) fn of(run: &Run, settings: &Settings, expected: &[Expected]) -> Self {
        let mut tally = Self { failed: run.damaged.len(), ..Self::default() };
        for record in run.records() {
            match &record.verdict {
                Verdict::Pass => tally.passed += 1,
                Verdict::Skip { .. } if settings.skip_is_allowed(&record.name()) => tally.skipped += 1,
                Verdict::Skip { .. } | Verdict::Fail { .. } | Verdict::Inconclusive { .. } => tally.failed += 1,
            }
        }
        tally.absent = absent(run, expected);
        tally.failed += tally.absent.len();
        tally
    }
}

fn absent(run: &Run, expected: &[Expected]) -> Vec<String> {
    let mut there: HashSet<Expected> = run.records().flat_map(made).collect();
    let mut unplaced: Vec<Unplaced> = Unplaced::of(run);
    let several = expected.iter().any(|one| one.kernel != expected[0].kernel);
    let siblings: Vec<Expected> = run.records().flat_map(siblings).collect();
    let mut absent = Vec::new();
    // What is there once needs no second record, and is told once.
    for one in expected.iter().chain(&siblings).filter(|one| there.insert((*one).clone())) {
        if !unplaced.iter_mut().any(|record| record.stands_for(one)) {
            let kernel = if several && !one.kernel.is_empty() { format!(" on {}", one.kernel) } else { String::new() };
            absent.push(format!("{}{kernel}", one.test));
        }
    }
    absent
}

/// What a record is of: the test, and its variant.
fn made(record: &Record) -> Vec<Expected> {
    let on = |kernel: &str| [record.name(), record.variant()].map(|test| Expected::new(&test, kernel)).into();
    record.kernel.as_ref().map_or_else(Vec::new, |kernel| on(&kernel.id))
}

/// The test with each profile that was to run in the record's process; on no kernel if it got none.
fn siblings(record: &Record) -> impl Iterator<Item = Expected> {
    let kernel = record.kernel.as_ref().map_or("", |kernel| &kernel.id);
    record.host.profiles.iter().map(move |profile| Expected::new(&variant_name(&record.name(), Some(profile)), kernel))
}

/// A record that does not say on which kernel: it is of one of them.
struct Unplaced {
    /// The test, and its variant.
    names: [String; 2],
    /// The kernel that it stands for.
    kernel: Option<String>,
}

impl Unplaced {
    fn of(run: &Run) -> Vec<Self> {
        let damaged = run.damaged.iter().map(|damaged| {
            let name = damaged.test.split_once(", profile ").map_or(damaged.test.as_str(), |(name, _)| name);
            [name.to_owned(), damaged.test.clone()]
        });
        let whole = run.records().filter(|record| record.kernel.is_none());
        let names = damaged.chain(whole.map(|record| [record.name(), record.variant()]));
        names.map(|names| Self { names, kernel: None }).collect()
    }

    fn stands_for(&mut self, one: &Expected) -> bool {
        self.names.contains(&one.test)
            && (one.kernel.is_empty() || *self.kernel.get_or_insert_with(|| one.kernel.clone()) == one.kernel)
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
    use ktstr::KernelPart;

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
        let expected = |tests: &[&str]| tests.iter().map(|test| Expected::new(test, "7.3.4-1")).collect::<Vec<_>>();
        let count = |run: &Run, allowed: &[&str], tests: &[&str]| Tally::of(run, &settings(allowed), &expected(tests));
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
            let expected: Vec<Expected> = expected.iter().map(|test| Expected::new(test, "7.3.4-1")).collect();
            assert_eq!(Tally::of(run, &settings(&[]), &expected).absent, absent);
        };
        check(&run, &["a"], &["a, profile llc+steal"]);
        check(&run, &["a, profile llc", "a, profile llc+steal"], &["a, profile llc+steal"]);
        run.damaged.push(Damaged { file: "a.json".into(), test: "a, profile llc+steal".into(), why: "EOF".into() });
        check(&run, &["a"], &[]);
        run.whole.clear();
        check(&run, &["a"], &[]);
    }

    #[test]
    fn a_record_is_of_a_test_on_a_preset_and_a_kernel() {
        let on = |kernel: Option<&str>, preset: Option<&str>| {
            let record = record("a", Verdict::Pass);
            let kernel = kernel.map(|id| KernelPart { id: id.to_owned(), release: "r".into(), config_hash: None });
            Record { kernel, preset: preset.map(str::to_owned), ..record }
        };
        let expected = [("a", "k"), ("a", "l"), ("a::odd_3llc", "k"), ("a::odd_3llc", "l")];
        let expected = expected.map(|(test, kernel)| Expected::new(test, kernel));
        let check = |records: Vec<Record>, absent: &[&str]| {
            assert_eq!(Tally::of(&run(records), &settings(&[]), &expected).absent, absent);
        };
        let (k, l) = (on(Some("k"), None), on(Some("l"), Some("odd-3llc")));
        check(vec![k.clone(), l.clone()], &["a on l", "a::odd_3llc on k"]);
        // A test that got no kernel has run all the same, but once.
        check(vec![k.clone(), l.clone(), on(None, None)], &["a::odd_3llc on k"]);
        check(vec![on(None, None)], &["a on l", "a::odd_3llc on k", "a::odd_3llc on l"]);
    }
}
