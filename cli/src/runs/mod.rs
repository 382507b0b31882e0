//! Runs of tests, and what they left: a directory each, with a record, a console log and whatever else belongs to a test.
//!
//! Reading is tolerant. A record that is damaged, or of a shape that this program does not know, is told with its file
//! and counts as inconclusive: it is never lost, and never a pass.

mod case;
mod find;

pub(crate) use case::{Case, cases};
pub(crate) use find::find;

use anyhow::{Context, Result};
use ktstr::{RECORD_VERSION, Record, Verdict, test_name, variant_name};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// All that one run left.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Where.
    pub(crate) dir: PathBuf,
    /// Records that could be read, by the name of their test.
    pub(crate) whole: Vec<Entry>,
    /// Records that could not.
    pub(crate) damaged: Vec<Damaged>,
}

/// A record and its file.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The file, within the run's directory.
    pub(crate) file: String,
    /// What is in it.
    pub(crate) record: Record,
}

/// A file that should be a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// The file, within the run's directory.
    pub(crate) file: String,
    /// The variant of the test, by the record if it tells, else by the file's name.
    pub(crate) test: String,
    /// Why it cannot be used.
    pub(crate) why: String,
}

impl Run {
    /// Reads a run's directory; one that is not there has nothing.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let mut run = Self { dir: dir.to_owned(), ..Self::default() };
        for file in record_files(dir)? {
            let bytes = fs::read(dir.join(&file));
            match bytes.map_err(|error| damaged(&file, None, error)).and_then(|bytes| parse(&file, &bytes)) {
                Ok(record) => run.whole.push(Entry { file, record }),
                Err(damaged) => run.damaged.push(damaged),
            }
        }
        run.whole.sort_by(|a, b| (&a.record.test, &a.file).cmp(&(&b.record.test, &b.file)));
        Ok(run)
    }

    /// The run's name.
    pub(crate) fn id(&self) -> String {
        self.dir.file_name().unwrap_or(self.dir.as_os_str()).to_string_lossy().into_owned()
    }

    /// The records without their files.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.whole.iter().map(|entry| &entry.record)
    }
}

impl Damaged {
    /// What it means for its test.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::Inconclusive { reason: format!("the record {} cannot be read: {}", self.file, self.why) }
    }
}

/// Reads one record's file.
///
/// # Errors
/// When it cannot be read or is damaged.
pub(crate) fn read_record(path: &Path) -> Result<Record> {
    let bytes = fs::read(path).with_context(|| format!("cannot read the record {}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parse(&name, &bytes).map_err(|damaged| anyhow::anyhow!("{} is no record to go by: {}", path.display(), damaged.why))
}

/// Names of the files in `dir` that should be records, in order.
fn record_files(dir: &Path) -> Result<Vec<String>> {
    let reading = || format!("cannot read the records in {}", dir.display());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(reading),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.with_context(reading)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".json") {
            files.push(name);
        }
    }
    files.sort();
    Ok(files)
}

fn parse(file: &str, bytes: &[u8]) -> Result<Record, Damaged> {
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| damaged(file, None, error))?;
    let profile = serde_json::from_value(value["profile"].clone()).unwrap_or(None);
    let test = value["test"].as_str().map(|test| test_name(test, value["preset"].as_str()));
    let test = test.map(|name| variant_name(&name, profile.as_ref()));
    let version = value["version"].as_u64();
    if version != Some(u64::from(RECORD_VERSION)) {
        let version = version.map_or_else(|| "unknown".to_owned(), |version| version.to_string());
        let why = format!("its version is {version}, and this program reads version {RECORD_VERSION}");
        return Err(damaged(file, test, why));
    }
    serde_json::from_value(value).map_err(|error| damaged(file, test, error))
}

fn damaged(file: &str, test: Option<String>, why: impl ToString) -> Damaged {
    let by_file = || file.trim_end_matches(".json").to_owned();
    Damaged { file: file.to_owned(), test: test.unwrap_or_else(by_file), why: why.to_string() }
}

#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
mod support;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::support::record;
    use super::*;
    use ktstr::Finding;

    /// A run with one record of each verdict, the first of a test in a module.
    pub(crate) fn each_verdict() -> Run {
        let findings = vec![Finding::new("max_gap_ms", "1.2 s").with_evidence(["cpu 3".to_owned()])];
        run([
            record("steady::a", Verdict::Pass),
            record("b", Verdict::Fail { findings }),
            record("c", Verdict::Skip { reason: "one CPU".into() }),
            record("d", Verdict::Inconclusive { reason: "no kernel".into() }),
        ])
    }

    /// A run of these.
    pub(crate) fn run(records: impl IntoIterator<Item = Record>) -> Run {
        let entry = |record: Record| Entry { file: format!("{}.json", record.file_stem()), record };
        Run { dir: "runs/one".into(), whole: records.into_iter().map(entry).collect(), damaged: Vec::new() }
    }

    #[test]
    fn what_cannot_be_read_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        record("b", Verdict::Pass).write(dir.path()).unwrap();
        record("a", Verdict::Pass).write(dir.path()).unwrap();
        record("a", Verdict::Pass).write(dir.path()).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("c.json", "{\"version\": 1");
        write(
            "d.json",
            &format!(
                "{{\"version\": {}, \"test\": \"m::d\", \"preset\": \"odd-3llc\", \"profile\": [\"llc\"], \"verdict\": \"pass\"}}",
                RECORD_VERSION + 1
            ),
        );
        write("e.json", &format!("{{\"version\": {RECORD_VERSION}, \"test\": \"e\", \"verdict\": \"pass\"}}"));
        write("f.json", "[]");
        write("console.log", "no record");
        let run = Run::read(dir.path()).unwrap();
        let names: Vec<&str> = run.whole.iter().map(|entry| entry.file.as_str()).collect();
        assert_eq!(names, ["a.2.json", "a.json", "b.json"]);
        let damaged: Vec<(&str, &str)> =
            run.damaged.iter().map(|damaged| (damaged.test.as_str(), damaged.why.as_str())).collect();
        assert_eq!(damaged.len(), 4);
        assert!(damaged[0].0 == "c" && damaged[0].1.starts_with("EOF"), "{damaged:?}");
        assert!(
            damaged[1].0 == "m::d::odd_3llc, profile llc" && damaged[1].1.contains("and this program reads version"),
            "{damaged:?}"
        );
        assert!(damaged[2].0 == "e" && damaged[2].1.contains("missing field"), "{damaged:?}");
        assert!(damaged[3].1.contains("version is unknown"), "{damaged:?}");
        assert_eq!(run.damaged[0].verdict().word(), "Inconclusive");
    }

    #[test]
    fn a_run_that_left_nothing_has_no_records() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Run::read(&dir.path().join("absent")).unwrap().whole.is_empty());
    }
}
