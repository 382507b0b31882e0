//! The vCPU budget among real processes, which are killed at any moment and are of several users where that can be had.

#![allow(clippy::unwrap_used, clippy::panic)]

use ktstr_vmm::budget::Budget;
use std::collections::HashMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const CPUS: usize = 4;
const PROCESSES: u64 = 12;
const KILLS: u64 = 30;

/// Another user, where this one may become it (nobody).
const OTHER_UID: u32 = 65534;

const DIR: &str = "KTSTR_TEST_BUDGET";
const SEED: &str = "KTSTR_TEST_SEED";

fn budget(dir: &Path) -> Budget {
    Budget::new(&dir.join("vcpus"), (0..CPUS).collect()).unwrap()
}

/// What happened, in order: all processes append lines to one file.
fn log(dir: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(dir.join("log")).unwrap()
}

/// Numbers without a pattern (Knuth's multiplier and increment for 64 bits).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
#[ignore = "one process of others: it takes a share a few times and says so"]
fn machine() {
    let dir = std::env::var_os(DIR).unwrap();
    let (budget, mut log) = (budget(Path::new(&dir)), log(Path::new(&dir)));
    let mut random = Random(std::env::var(SEED).unwrap().parse().unwrap());
    let pid = std::process::id();
    for _ in 0..5 {
        let lease = budget.take_any(1 + random.below(CPUS as u64) as usize, |_| {}).unwrap();
        log.write_all(format!("got {pid} {:?}\n", lease.cpus()).as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(random.below(10)));
        log.write_all(format!("done {pid}\n").as_bytes()).unwrap();
    }
}

fn start(dir: &Path, seed: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["machine", "--exact", "--ignored"]).env(DIR, dir).env(SEED, seed.to_string());
    command.stdout(std::process::Stdio::null());
    // SAFETY: system calls without pointers.
    if seed.is_multiple_of(2) && unsafe { libc::geteuid() } == 0 {
        command.uid(OTHER_UID);
    }
    let private_files = || {
        // SAFETY: a system call without pointers.
        unsafe { libc::umask(0o077) };
        Ok(())
    };
    // SAFETY: the closure makes one system call and nothing else.
    unsafe { command.pre_exec(private_files) };
    command.spawn().unwrap()
}

/// No CPU was ever two processes'. A killed one may have lost its CPUs at any time since.
fn check_log(text: &str) {
    let mut holders: HashMap<String, String> = HashMap::new();
    let mut killed = Vec::new();
    for line in text.lines() {
        let (event, rest) = line.split_once(' ').unwrap();
        let (pid, cpus) = rest.split_once(' ').unwrap_or((rest, ""));
        if event != "got" {
            holders.retain(|_, holder| holder != pid);
            killed.extend((event == "kill").then(|| pid.to_owned()));
        } else if !killed.contains(&pid.to_owned()) {
            for cpu in cpus.trim_matches(['[', ']']).split(", ") {
                assert_eq!(holders.insert(cpu.to_owned(), pid.to_owned()), None, "CPU {cpu} at {line:?} of\n{text}");
            }
        }
    }
}

#[test]
fn no_cpu_has_two_holders_and_none_is_lost_by_deaths() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let mut log = log(dir.path());
    log.set_permissions(Permissions::from_mode(0o666)).unwrap();
    // So that another user can make the files, but not the directory.
    drop(budget(dir.path()));
    let mut random = Random(1);
    let mut children: Vec<Child> = (0..PROCESSES).map(|seed| start(dir.path(), seed)).collect();
    for number in 0..KILLS {
        std::thread::sleep(Duration::from_millis(random.below(20)));
        let victim = random.below(PROCESSES) as usize;
        log.write_all(format!("kill {}\n", children[victim].id()).as_bytes()).unwrap();
        children[victim].kill().unwrap();
        let next = start(dir.path(), PROCESSES + number);
        std::mem::replace(&mut children[victim], next).wait().unwrap();
    }
    for mut child in children {
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
    let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
    check_log(&text);
    assert!(text.lines().filter(|line| line.starts_with("done")).count() as u64 >= 5 * PROCESSES, "{text}");
    let whole = budget(dir.path()).take_any(CPUS, |text| panic!("somebody still holds CPUs: {text}")).unwrap();
    assert_eq!(whole.cpus(), [0, 1, 2, 3]);
    assert_eq!(std::fs::read_dir(dir.path().join("vcpus")).unwrap().count(), CPUS + 1);
}

#[test]
fn a_process_below_a_machine_s_shares_its_cpus() {
    let dir = tempfile::tempdir().unwrap();
    let _all = budget(dir.path()).take_any(CPUS, |_| {}).unwrap();
    let status = start(dir.path(), 1).wait().unwrap();
    assert!(status.success(), "{status}");
    let text = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert_eq!(text.lines().filter(|line| line.ends_with(" []")).count(), 5, "{text}");
}
