//! Runs a specimen, an ignored test of this binary that is made to go wrong, as a process of its own, and reads what it
//! left: its exit status, what it printed and its record.

#![allow(dead_code)] // Each test binary uses a part.
#![allow(clippy::unwrap_used, clippy::panic)] // Only tests use it.

pub(crate) mod clean;
pub(crate) mod patched;

pub(crate) mod limits;
pub(crate) mod memory_cgroup;
pub(crate) mod own_cache;
pub(crate) mod workers;

use ktstr::{Record, runs_dir};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A specimen, about to be run.
pub(crate) struct Specimen {
    name: &'static str,
    run_id: String,
    command: Command,
}

/// What a specimen left.
pub(crate) struct Outcome {
    pub(crate) passed: bool,
    pub(crate) output: String,
    pub(crate) record: Record,
    /// The file of the console; empty where there was no machine.
    pub(crate) console_log: String,
}

impl Specimen {
    pub(crate) fn new(name: &'static str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let run_id = format!("specimen-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--include-ignored", "--test-threads=1"]);
        command.env("KTSTR_RUN_ID", &run_id).env_remove("NEXTEST_RUN_ID").env_remove("KTSTR_SEED");
        command.env_remove("KTSTR_TRACE");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { name, run_id, command }
    }

    pub(crate) fn env(mut self, key: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// The file that its console goes to.
    pub(crate) fn console_log(&self) -> PathBuf {
        self.records_dir().join(format!("{}.console.log", self.name))
    }

    /// For what an environment variable cannot do.
    pub(crate) fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    pub(crate) fn spawn(&mut self) -> Child {
        self.command.spawn().unwrap()
    }

    pub(crate) fn run(mut self) -> Outcome {
        let child = self.spawn();
        self.collect(child)
    }

    /// Runs one that has several records: whether it passed, what it printed, and the records by the names of their files.
    pub(crate) fn run_all(mut self) -> (bool, String, Vec<Record>) {
        let done = self.spawn().wait_with_output().unwrap();
        let records = records(&self.records_dir()).into_iter().map(|path| read(&path)).collect();
        (done.status.success(), printed(&done), records)
    }

    pub(crate) fn collect(&self, child: Child) -> Outcome {
        let done = child.wait_with_output().unwrap();
        let output = printed(&done);
        let dir = self.records_dir();
        let record = only_record(&dir).unwrap_or_else(|why| panic!("{}: {why}\n{output}", dir.display()));
        let log = record.host.console_log.as_ref().map(|name| dir.join(name));
        let console_log = log.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        Outcome { passed: done.status.success(), output, record, console_log }
    }

    pub(crate) fn records_dir(&self) -> PathBuf {
        runs_dir(&std::env::current_exe().unwrap()).join(&self.run_id)
    }
}

impl Drop for Specimen {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.records_dir());
    }
}

impl Outcome {
    /// The specimen failed its run with this verdict, and says why.
    pub(crate) fn expect(&self, word: &str, reasons: &[&str]) {
        let verdict = self.record.verdict.to_string();
        assert_eq!(self.record.verdict.word(), word, "{verdict}\n{}", self.output);
        assert_eq!(self.passed, word == "Pass", "{}", self.output);
        for reason in reasons {
            assert!(verdict.contains(reason), "{reason:?} is not in {verdict}");
        }
    }
}

fn only_record(dir: &Path) -> Result<Record, String> {
    let records = records(dir);
    let [path] = records.as_slice() else { return Err(format!("one record is expected, and there are {records:?}")) };
    Ok(read(path))
}

/// The files of records; none where there is no directory.
fn records(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut records: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    records.sort();
    records
}

fn read(path: &Path) -> Record {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn printed(done: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr))
}

/// Waits until no process has `mark` in its arguments; the kernel takes a moment to end a killed one.
pub(crate) fn wait_until_gone(mark: &str) {
    let began = Instant::now();
    loop {
        let marked = processes_with(mark);
        if marked.is_empty() {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "still there: {marked:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn processes_with(mark: &str) -> Vec<String> {
    emulators(mark).into_iter().map(|(pid, cmdline)| format!("{pid} {cmdline}")).collect()
}

/// The emulators, and their arguments, that have `mark` in these.
pub(crate) fn emulators(mark: &str) -> Vec<(libc::pid_t, String)> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let processes = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let bytes = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&bytes).replace('\0', " ")))
    });
    processes.filter(|(_, cmdline)| cmdline.contains(mark) && cmdline.contains("qemu")).collect()
}
