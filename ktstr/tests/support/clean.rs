//! Whether a specimen leaves anything behind.

use super::{Outcome, Specimen};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what comes about by itself may take on a slow host.
const PATIENCE: Duration = Duration::from_secs(120);

/// A specimen's surroundings: a process group and a directory for temporary files of its own.
pub(crate) struct Clean {
    dir: tempfile::TempDir,
    specimen: Specimen,
}

impl Clean {
    pub(crate) fn new(specimen: Specimen) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("tmp");
        fs::create_dir(&tmp).unwrap();
        let mut specimen = specimen.env("TMPDIR", tmp);
        specimen.command().process_group(0);
        Self { dir, specimen }
    }

    /// With a kernel of the spec that `make` gives for the directory, which is for no cache but its own.
    pub(crate) fn kernel(self, make: impl FnOnce(&Path) -> String) -> Self {
        let (spec, cache) = (make(self.dir.path()), self.cache());
        self.env("KTSTR_KERNEL", spec).env("KTSTR_CACHE_DIR", cache)
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.specimen = self.specimen.env(key, value);
        self
    }

    /// The console of the specimen, as far as it has come.
    pub(crate) fn console_so_far(&self) -> String {
        fs::read_to_string(self.specimen.console_log()).unwrap_or_default()
    }

    /// Runs it to its end, while `meanwhile` does something to its process group.
    pub(crate) fn run(mut self, meanwhile: impl FnOnce(&Self, i32)) -> Outcome {
        let child = self.specimen.spawn();
        let group = child.id() as i32;
        meanwhile(&self, group);
        let outcome = self.specimen.collect(child);
        wait_until(|| group_is_gone(group), "a process of the specimen is left");
        let left = [files_in(&self.dir.path().join("tmp")), shared_memory(), locks(&self.cache())];
        assert_eq!(left.concat(), Vec::<String>::new());
        outcome
    }
}

/// Waits for what comes about by itself.
pub(crate) fn wait_until(is_so: impl Fn() -> bool, complaint: &str) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{complaint}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn group_is_gone(group: i32) -> bool {
    // SAFETY: no signal is sent; the group was ours, and its number is not used again so soon.
    let found = unsafe { libc::kill(-group, 0) };
    found != 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

fn files_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// Named shared memory of any of ours: there should never be one.
fn shared_memory() -> Vec<String> {
    files_in(Path::new("/dev/shm")).into_iter().filter(|path| path.contains("ktstr")).collect()
}

fn locks(cache: &Path) -> Vec<String> {
    let all = files_in(cache).into_iter().flat_map(|path| [vec![path.clone()], files_in(Path::new(&path))].concat());
    all.filter(|path| path.ends_with(".lock") || path.ends_with(".tmp")).collect()
}
