//! The records that a run left.

use anyhow::{Context, Result};
use ktstr::{Record, Settings, Verdict};
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// All of one run.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Those that could be read, by the name of their test.
    pub(super) whole: Vec<Record>,
    /// What could not, and why.
    pub(super) unreadable: Vec<String>,
}

/// How many tests came out how.
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

impl Records {
    /// Reads a run's directory; one that is not there has none.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let mut records = Self::default();
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(records),
            Err(error) => return Err(error).with_context(|| format!("cannot read the records in {}", dir.display())),
        };
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read the records in {}", dir.display()))?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read_one(&path) {
                Ok(record) => records.whole.push(record),
                Err(error) => records.unreadable.push(format!("{}: {error:#}", path.display())),
            }
        }
        records.whole.sort_by(|a, b| a.test.cmp(&b.test));
        records.unreadable.sort();
        Ok(records)
    }

    /// Counts, with the skips that `settings` allows and the tests that are `expected`.
    pub(super) fn tally(&self, settings: &Settings, expected: &[&str]) -> Tally {
        let mut tally = Tally { failed: self.unreadable.len(), ..Tally::default() };
        for record in &self.whole {
            match &record.verdict {
                Verdict::Pass => tally.passed += 1,
                Verdict::Skip { .. } if settings.skip_is_allowed(&record.test) => tally.skipped += 1,
                Verdict::Skip { .. } | Verdict::Fail { .. } | Verdict::Inconclusive { .. } => tally.failed += 1,
            }
        }
        let is_there = |test: &&str| self.whole.iter().any(|record| record.test == **test);
        tally.absent = expected.iter().filter(|test| !is_there(test)).map(|test| (*test).to_owned()).collect();
        tally.failed += tally.absent.len();
        tally
    }
}

fn read_one(path: &Path) -> Result<Record> {
    let text = fs::read(path)?;
    Ok(serde_json::from_slice(&text)?)
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
    use super::super::table::tests::record;
    use super::*;

    fn settings(allow_skip: &[&str]) -> Settings {
        let allow_skip = allow_skip.iter().map(|name| (*name).to_owned()).collect();
        Settings { allow_skip, ..Settings::from_env().unwrap() }
    }

    #[test]
    fn only_a_pass_is_a_pass() {
        let inconclusive = Verdict::Inconclusive { reason: "no kernel".into() };
        let skip = || Verdict::Skip { reason: "one CPU".into() };
        let mut records = Records {
            whole: vec![record("a", Verdict::Pass), record("b", inconclusive), record("c", skip())],
            unreadable: vec!["d".into()],
        };
        assert_eq!(records.tally(&settings(&[]), &[]).to_string(), "1 passed, 3 failed");
        assert_eq!(records.tally(&settings(&["c"]), &["a"]).to_string(), "1 passed, 2 failed, 1 skipped");
        records.unreadable.clear();
        let tally = records.tally(&settings(&["c"]), &["a", "e"]);
        assert_eq!((tally.failed, tally.absent), (2, vec!["e".to_owned()]));
    }

    #[test]
    fn a_damaged_record_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        record("b", Verdict::Pass).write(dir.path()).unwrap();
        record("a", Verdict::Pass).write(dir.path()).unwrap();
        fs::write(dir.path().join("c.json"), "{\"version\": 1").unwrap();
        fs::write(dir.path().join("console.log"), "no record").unwrap();
        let records = Records::read(dir.path()).unwrap();
        let names: Vec<&str> = records.whole.iter().map(|record| record.test.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(records.unreadable[0].contains("c.json: EOF"), "{:?}", records.unreadable);
    }

    #[test]
    fn a_run_that_left_nothing_has_no_records() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Records::read(&dir.path().join("absent")).unwrap().whole.is_empty());
    }
}
