//! Answers that stay valid for a while, so that a spec resolved before costs two small file reads.
//!
//! An answer is a file `<cache>/kernels/<key>.json` beside the entries.

use crate::error::{Error, write_context};
use crate::hash;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the archive's newest is taken to be the newest.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// A file as it was when the answer was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    path: PathBuf,
    size: u64,
    modified_ns: i128,
    inode: u64,
    device: u64,
}

impl Stamp {
    /// The state of a file now.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let modified_ns = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        Some(Self { path: path.to_owned(), size: found.size(), modified_ns, inode: found.ino(), device: found.dev() })
    }
}

/// Which entry a spec led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: String,
    /// Seconds since 1970.
    found_at: u64,
    /// The files it depends on; none for an answer from the archive.
    stamps: Vec<Stamp>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Answer {
    pub(crate) fn new(id: &str, stamps: Vec<Stamp>) -> Self {
        Self { id: id.to_owned(), found_at: now(), stamps }
    }

    /// Whether it still holds: its files are as they were, or else it is young enough.
    pub(crate) fn holds(&self) -> bool {
        match self.stamps[..] {
            [] => now().checked_sub(self.found_at).is_some_and(|age| age < FRESH_FOR.as_secs()),
            _ => self.stamps.iter().all(|stamp| Stamp::of(&stamp.path).as_ref() == Some(stamp)),
        }
    }

    /// The answer to a spec, however old.
    pub(crate) fn read(dir: &Path, spec: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(path(dir, spec)).ok()?).ok()
    }

    /// Remembers the answer to a spec.
    pub(crate) fn write(&self, dir: &Path, spec: &str) -> Result<(), Error> {
        let path = path(dir, spec);
        let source = serde_json::to_vec(self);
        let text = source.map_err(|source| Error::Meta { path: path.clone(), source })?;
        // A reader sees the old answer or the new one, never half of one.
        let new = path.with_extension(format!("json.{}", std::process::id()));
        write_context(fs::write(&new, text).and_then(|()| fs::rename(&new, &path)), "remember the answer in", &path)
    }
}

fn path(dir: &Path, spec: &str) -> PathBuf {
    let plain = spec.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    let name = if plain { spec.to_owned() } else { hash::of_bytes(spec.as_bytes()) };
    dir.join(format!("{name}.json"))
}

/// Forgets all answers.
pub(crate) fn forget_all(dir: &Path) {
    let Ok(read) = fs::read_dir(dir) else { return };
    let files = read.filter_map(Result::ok).map(|entry| entry.path());
    for path in files.filter(|path| path.extension().is_some_and(|end| end == "json")) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_the_archive_ages() {
        let mut answer = Answer::new("a", Vec::new());
        assert!(answer.holds());
        answer.found_at -= FRESH_FOR.as_secs();
        assert!(!answer.holds());
        answer.found_at = now() + 100;
        assert!(!answer.holds(), "a clock that was set back proves nothing");
    }

    #[test]
    fn an_answer_from_files_holds_while_they_do() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("vmlinux");
        fs::write(&file, "one").unwrap();
        let answer = Answer::new("a", vec![Stamp::of(&file).unwrap()]);
        assert!(answer.holds());
        fs::write(&file, "longer").unwrap();
        assert!(!answer.holds());
        fs::remove_file(&file).unwrap();
        assert!(!answer.holds());
    }

    #[test]
    fn is_read_as_written_and_forgotten_when_told() {
        let dir = tempfile::tempdir().unwrap();
        let answer = Answer::new("7.3.4-x", Vec::new());
        for spec in ["latest", "path:/a b/c", "7.2"] {
            answer.write(dir.path(), spec).unwrap();
            assert_eq!(Answer::read(dir.path(), spec), Some(answer.clone()), "{spec}");
        }
        assert!(dir.path().join("latest.json").exists());
        forget_all(dir.path());
        assert_eq!(Answer::read(dir.path(), "latest"), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
