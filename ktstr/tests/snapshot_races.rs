//! Runs that take or use the same snapshot at once, and runs that end in the midst of it.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{BootPart, Record};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;
use support::clean::wait_until;
use support::own_cache::OwnCache;
use support::{emulators, wait_until_gone};

/// Finds nothing of another run in its machine, and leaves something there.
#[ktstr_test(cores = 2)]
#[ignore = "a specimen: writes, and says what it finds"]
fn writes(_ctx: &Ctx) -> Result<AssertResult> {
    let path = Path::new("/tmp/was-here");
    ensure!(!path.exists(), "another run has written into this machine");
    fs::write(path, vec![7; 8 << 20])?;
    println!("{}", fs::read_to_string("/proc/sys/kernel/random/uuid")?);
    Ok(AssertResult::default())
}

#[ktstr_test(cores = 2, duration_s = 600)]
#[ignore = "a specimen: lasts until it is interrupted"]
fn endless(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn runs_at_once_share_nothing_but_the_snapshot() {
    let cache = OwnCache::new();
    let taken = at_once(&cache, 2);
    assert_eq!(taken.iter().filter(|boot| **boot == BootPart::Kept).count(), 1, "{taken:?}");
    assert!(!taken.contains(&BootPart::Booted), "{taken:?}");
    let manifest = fs::read(cache.snapshot().join("snapshot.json")).unwrap();
    assert_eq!(at_once(&cache, 16), vec![BootPart::Forked; 16]);
    // Which has the checksums of all files.
    assert_eq!(fs::read(cache.snapshot().join("snapshot.json")).unwrap(), manifest);
    cache.check(cache.specimen("writes"), &BootPart::Forked);
}

/// Starts them all, and compares their records but for what the host saw; gives how they came to their hello.
fn at_once(cache: &OwnCache, count: usize) -> Vec<BootPart> {
    let start = |_| {
        // Nobody waits for a turn: all machines are there at once.
        let mut specimen = cache.specimen("writes").env("KTSTR_SEED", "7").env("KTSTR_BUDGET_DIR", "none");
        let child = specimen.spawn();
        (specimen, child)
    };
    let runs: Vec<_> = (0..count).map(start).collect();
    let records = runs.into_iter().map(|(specimen, child)| {
        let outcome = specimen.collect(child);
        outcome.expect("Pass", &[]);
        outcome.record
    });
    let records: Vec<Record> = records.collect();
    assert_eq!(cache.unfinished(), Vec::<PathBuf>::new());
    let texts: Vec<_> = records.iter().map(|record| serde_json::to_string(&record.guest).unwrap()).collect();
    texts.iter().for_each(|text| assert_eq!(*text, texts[0]));
    records.into_iter().map(|record| record.host.boot).collect()
}

#[test]
fn whoever_ends_while_it_keeps_a_machine_leaves_nothing_for_long() {
    assert_eq!(left_by(libc::SIGINT).entries(), Vec::<PathBuf>::new());
    let cache = left_by(libc::SIGKILL);
    assert!(!cache.unfinished().is_empty());
    cache.check(cache.specimen("writes"), &BootPart::Kept);
}

/// The cache of a run that this signal ended in the midst of taking a snapshot.
fn left_by(signal: i32) -> OwnCache {
    loop {
        let cache = OwnCache::new();
        let mut specimen = cache.specimen("endless");
        let child = specimen.spawn();
        let is_kept = || cache.unfinished().iter().any(|path| path.extension().is_some_and(|end| end == "tmp"));
        wait_until(is_kept, "no snapshot is taken");
        send(&child, libc::SIGSTOP);
        // On a busy host the snapshot may be whole before the run stands still.
        let in_the_midst = is_kept();
        send(&child, signal);
        send(&child, libc::SIGCONT);
        wait_for_end(child);
        if in_the_midst {
            return cache;
        }
    }
}

fn end(child: Child, signal: i32) {
    send(&child, signal);
    wait_for_end(child);
}

fn send(child: &Child, signal: i32) {
    // SAFETY: our own child, not reaped yet.
    unsafe { libc::kill(child.id() as libc::pid_t, signal) };
}

fn wait_for_end(child: Child) {
    let pid = child.id();
    assert!(!child.wait_with_output().unwrap().status.success());
    wait_until_gone(&format!("ktstr-{pid}"));
}

#[test]
fn whoever_ends_while_it_goes_on_from_a_snapshot_leaves_it_as_it_was() {
    let cache = OwnCache::with_snapshot("writes");
    let entries = cache.entries();
    for (later_ms, signal) in [(0, libc::SIGKILL), (0, libc::SIGINT), (50, libc::SIGTERM), (200, libc::SIGKILL)] {
        let mut specimen = cache.specimen("endless");
        let child = specimen.spawn();
        let mark = format!("ktstr-{},", child.id());
        wait_until(|| emulators(&mark).iter().any(|(_, words)| words.contains(" -incoming ")), "nothing is restored");
        std::thread::sleep(Duration::from_millis(later_ms));
        end(child, signal);
        assert_eq!(cache.entries(), entries);
    }
    cache.check(cache.specimen("writes"), &BootPart::Forked);
}

#[test]
fn a_snapshot_that_goes_while_it_is_opened_is_not_missed() {
    let cache = OwnCache::with_snapshot("writes");
    let manifest = cache.snapshot().join("snapshot.json");
    let text = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    // Whoever reads it waits for us.
    assert!(Command::new("mkfifo").arg(&manifest).status().unwrap().success());
    // Nor does it wait for host CPUs, which would be told, too.
    let mut specimen = cache.specimen("writes").env("KTSTR_BUDGET_DIR", "none");
    let child = specimen.spawn();
    let writer = || File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&manifest);
    wait_until(
        || {
            writer().is_ok_and(|mut writer| {
                fs::remove_dir_all(cache.snapshot()).unwrap();
                writer.write_all(&text).is_ok()
            })
        },
        "nobody opens the snapshot",
    );
    let outcome = specimen.collect(child);
    outcome.expect("Pass", &[]);
    assert_eq!(outcome.record.host.boot, BootPart::Kept);
    assert!(!outcome.output.contains("ktstr: "), "{}", outcome.output);
}
