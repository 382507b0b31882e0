//! A host that is short of something: the right verdict, what is short, what to do, and nothing left behind.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::PerformancePart;
use ktstr::prelude::*;
use std::path::Path;
use std::process::Child;
use std::time::Instant;
use support::limits::{limit, refuse_threads};
use support::memory_cgroup::MemoryCgroup;
use support::{Specimen, emulators, wait_until_gone};

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: a good test in bad surroundings"]
fn good(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 1, performance_mode = true)]
#[ignore = "a specimen: asks for host CPUs of its own"]
fn fast(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

/// More than the test's own limits allow.
#[ktstr_test(memory_mb = 2048)]
#[ignore = "a specimen: uses a lot of memory"]
fn hungry(_ctx: &Ctx) -> Result<AssertResult> {
    let bytes = vec![1_u8; 3 << 29];
    ensure!(std::hint::black_box(&bytes)[1 << 30] == 1, "memory does not keep what is written");
    Ok(AssertResult::default())
}

/// As many as a large run starts where the runner is told to start them all.
const AT_ONCE: usize = 16;

/// Who did not get its CPUs at the first look has waited at least this long.
const RETRY_MS: f64 = 10.0;

#[test]
fn many_machines_at_once_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut specimen = Specimen::new("good").env("KTSTR_BUDGET_DIR", dir.path().join("vcpus"));
        let child = specimen.spawn();
        (specimen, child)
    };
    let runs: Vec<(Specimen, Child)> = (0..AT_ONCE).map(|_| start()).collect();
    let mut waited = 0;
    for (specimen, child) in runs {
        let mark = format!("ktstr-{}", child.id());
        let outcome = specimen.collect(child);
        outcome.expect("Pass", &[]);
        wait_until_gone(&mark);
        let budget = &outcome.record.host.budget;
        assert!(!budget.cpus.is_empty() && budget.without.is_none(), "{budget:?}");
        waited += usize::from(budget.waited_ms >= RETRY_MS);
    }
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert!(waited >= AT_ONCE.saturating_sub(cpus), "{waited} of {AT_ONCE} have waited for {cpus} CPUs");
    assert_all_free(&dir.path().join("vcpus"));
}

#[test]
fn a_budget_that_cannot_be_kept_is_said_and_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vcpus");
    std::fs::write(&path, "no directory").unwrap();
    let outcome = Specimen::new("good").env("KTSTR_BUDGET_DIR", &path).run();
    outcome.expect("Pass", &[]);
    let reason = outcome.record.host.budget.without.unwrap();
    assert!(reason.contains("vcpus cannot hold the lock files") && outcome.output.contains(&reason), "{reason}");
}

#[test]
fn performance_mode_says_what_it_lacks() {
    let outcome = Specimen::new("fast").env("KTSTR_ACCEL", "tcg").run();
    outcome.expect("Pass", &[]);
    let report = outcome.record.host.placement.as_ref().unwrap();
    let missing: Vec<_> = report.missing.iter().map(|missing| missing.part).collect();
    assert_eq!((report.applied.as_slice(), missing), (&[][..], vec![PerformancePart::Hardware]));
    assert!(outcome.output.contains("performance mode without Hardware: all vCPUs take turns"), "{}", outcome.output);
}

#[test]
fn no_address_space_for_the_guest_s_memory() {
    let mut specimen = Specimen::new("hungry");
    limit(&mut specimen, libc::RLIMIT_AS, 1 << 30);
    let reasons = ["cannot get 2048 MiB of host memory", "Cannot allocate memory", "raise `ulimit -v`"];
    check_refused(specimen, &reasons);
}

#[test]
fn no_files_left() {
    let mut specimen = Specimen::new("good");
    limit(&mut specimen, libc::RLIMIT_NOFILE, 10);
    check_refused(specimen, &["Too many open files", "raise `ulimit -n`"]);
}

#[test]
fn no_file_as_large_as_memory() {
    let mut specimen = Specimen::new("good").env("KTSTR_ACCEL", "tcg");
    limit(&mut specimen, libc::RLIMIT_FSIZE, 256 << 20);
    check_refused(specimen, &["of host memory for the guest", "File too large", "raise `ulimit -f`"]);
}

#[test]
fn no_threads_left() {
    let mut specimen = Specimen::new("good");
    refuse_threads(&mut specimen);
    check_refused(specimen, &["Resource temporarily unavailable", "raise `ulimit -u`"]);
}

/// Why there is no machine, with nothing left of what was there of it.
fn check_refused(mut specimen: Specimen, reasons: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    specimen = specimen.env("KTSTR_BUDGET_DIR", dir.path());
    let child = specimen.spawn();
    let mark = format!("ktstr-{}", child.id());
    specimen.collect(child).expect("Inconclusive", reasons);
    wait_until_gone(&mark);
    assert_all_free(dir.path());
}

/// The kernel ends the emulator, which has offered itself, and the test tells. Where this process may not limit memory, the
/// emulator is killed in the kernel's stead.
#[test]
fn memory_that_ends_while_the_guest_runs() {
    let mut specimen = Specimen::new("hungry").env("KTSTR_ACCEL", "tcg");
    let cgroup = MemoryCgroup::new(1 << 30);
    match &cgroup {
        Some(cgroup) => cgroup.hold(&mut specimen),
        None => println!("no cgroup can be made here: the emulator is killed by the test"),
    }
    let child = specimen.spawn();
    let mark = format!("ktstr-{}", child.id());
    if cgroup.is_none() {
        kill_emulator(&mark);
    }
    specimen.collect(child).expect("Inconclusive", &["QEMU ended with signal: 9 (SIGKILL)", "memory is short"]);
    wait_until_gone(&mark);
    assert!(cgroup.is_none_or(|cgroup| cgroup.is_empty()));
}

fn kill_emulator(mark: &str) {
    let began = Instant::now();
    while emulators(mark).is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "no emulator was started");
        std::thread::sleep(Duration::from_millis(20));
    }
    for (pid, _) in emulators(mark) {
        // SAFETY: plain system call on a process that the specimen has started and waits for.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// All CPUs can be had again at once, and the files of the locks are empty.
fn assert_all_free(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        assert_eq!(entry.metadata().unwrap().len(), 0, "{entry:?}");
        std::fs::File::open(entry.path()).unwrap().try_lock().unwrap();
    }
}
