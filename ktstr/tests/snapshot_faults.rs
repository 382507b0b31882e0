//! Snapshots that are damaged, of something else, or nowhere to be kept: the guest boots, a line says why, and what is left
//! is good for the next run.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ktstr::BootPart;
use ktstr::prelude::*;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::limits::{limit, small_disk};
use support::own_cache::OwnCache;
use support::{Outcome, Specimen};

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: a good test in bad surroundings"]
fn good(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

#[ktstr_test(cores = 4)]
#[ignore = "a specimen: a machine with more CPUs"]
fn larger(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

/// The file of its snapshot is larger than any of its memory.
#[ktstr_test(numa_nodes = 2, llcs = 2, cores = 1, memory_mb = 1024)]
#[ignore = "a specimen: memory in two files"]
fn parted(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

#[ktstr_test(cores = 2, threads = 2)]
#[ignore = "a specimen: siblings, which a kernel that is to poll while idle warns of"]
fn siblings(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

/// One line of what was printed has all of these.
fn assert_said(output: &str, parts: &[&str]) {
    let is_said = |line: &str| line.starts_with("ktstr: ") && parts.iter().all(|part| line.contains(part));
    assert_eq!(output.lines().filter(|line| is_said(line)).count(), 1, "{parts:?} are not in one line of {output}");
}

fn not_kept(outcome: &Outcome) -> &str {
    match &outcome.record.host.boot {
        BootPart::NotKept(why) => why,
        other => panic!("{other:?}\n{}", outcome.output),
    }
}

fn flip(path: &Path, offset: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 4], offset).unwrap();
}

/// In the last page that has nothing.
fn flip_in_hole(path: &Path) {
    let bytes = fs::metadata(path).unwrap().len();
    let file = File::open(path).unwrap();
    let is_zero = |offset: &u64| {
        let mut page = vec![1; 4096];
        file.read_exact_at(&mut page, *offset).unwrap();
        page.iter().all(|byte| *byte == 0)
    };
    flip(path, (0..bytes / 4096).rev().map(|page| page * 4096).find(is_zero).unwrap() + 77);
}

#[test]
fn a_damaged_snapshot_is_said_thrown_away_and_taken_again() {
    type Damage = (&'static str, fn(&Path), &'static str);
    let damages: [Damage; 5] = [
        ("ram", flip_in_hole, "is damaged: its checksum is"),
        (
            "ram",
            |path| File::options().write(true).open(path).unwrap().set_len(4096).unwrap(),
            "it has 4096 bytes and had",
        ),
        ("state", |path| flip(path, 100_000), "is damaged: its checksum is"),
        ("control", |path| fs::remove_file(path).unwrap(), "No such file"),
        ("snapshot.json", |path| fs::write(path, "{\"format\": 1, garbage").unwrap(), "does not describe a snapshot"),
    ];
    let cache = OwnCache::with_snapshot("good");
    for (name, damage, complaint) in damages {
        let path = cache.snapshot().join(name);
        damage(&path);
        let outcome = cache.check(cache.specimen("good"), &BootPart::Kept);
        let parts = ["is thrown away, and the guest boots: ", path.to_str().unwrap(), complaint];
        assert_said(&outcome.output, &parts);
    }
    cache.check(cache.specimen("good"), &BootPart::Forked);
    assert_private(&cache.snapshot());
}

/// Guest memory is for its user only.
fn assert_private(snapshot: &Path) {
    assert_eq!(fs::metadata(snapshot).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn another_emulator_has_snapshots_of_its_own() {
    let cache = OwnCache::with_snapshot("good");
    let first = cache.snapshot();
    let dir = tempfile::tempdir().unwrap();
    let with_other = || cache.specimen("good").env("KTSTR_QEMU", other_release(dir.path()));
    cache.check(with_other(), &BootPart::Kept);
    let second = cache.entries().into_iter().find(|path| *path != first).unwrap();
    // One in the place of another.
    fs::remove_dir_all(&second).unwrap();
    fs::rename(&first, &second).unwrap();
    let outcome = cache.check(with_other(), &BootPart::Kept);
    assert_said(&outcome.output, &["is of another machine: of \"QEMU emulator version", ".of-a-test\" is wanted"]);
    cache.check(with_other(), &BootPart::Forked);
}

/// The QEMU of this host, which says that it is of another release.
fn other_release(dir: &Path) -> PathBuf {
    let qemu = std::env::var("KTSTR_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".to_owned());
    let text = format!(
        "#!/bin/sh\ntest \"$1\" = --version || exec {qemu} \"$@\"\n{qemu} --version | sed '1s/$/.of-a-test/'\n"
    );
    let (plain, program) = (dir.join("text"), dir.join("qemu"));
    fs::write(&plain, text).unwrap();
    // Nobody can run a program that this process may still have open for writing.
    let install = Command::new("install").arg("-m755").args([&plain, &program]).status().unwrap();
    assert!(install.success());
    program
}

#[test]
fn a_state_that_qemu_refuses_is_thrown_away() {
    let cache = OwnCache::with_snapshot("good");
    let good = fs::read(cache.snapshot().join("state")).unwrap();
    let other = OwnCache::with_snapshot("larger");
    let larger = fs::read(other.snapshot().join("state")).unwrap();
    let cut = &good[..good.len() / 2];
    let twisted: Vec<u8> = good.iter().rev().copied().collect();
    for state in [&larger[..], cut, &twisted, b""] {
        replace_state(&cache.snapshot(), state);
        let outcome = cache.check(cache.specimen("good"), &BootPart::Kept);
        let parts = ["is thrown away, and the guest boots: ", "cannot restore a machine of QEMU", "it said: "];
        assert_said(&outcome.output, &parts);
    }
    cache.check(cache.specimen("good"), &BootPart::Forked);
}

/// Another state, of which the manifest has the checksum.
fn replace_state(snapshot: &Path, state: &[u8]) {
    fs::write(snapshot.join("state"), state).unwrap();
    let path = snapshot.join("snapshot.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["state"] = json!({ "bytes": state.len(), "blake3": blake3::hash(state).to_string() });
    fs::write(path, manifest.to_string()).unwrap();
}

#[test]
fn without_room_for_a_snapshot_the_test_passes_all_the_same() {
    let cache = OwnCache::new();
    for (disk, complaints) in [
        (c"size=4m", ["No space left on device", "make room on the disk"]),
        (c"ro", ["Read-only file system", "point KTSTR_CACHE_DIR at a directory that this user may write"]),
    ] {
        let mut specimen = cache.specimen("good");
        small_disk(&mut specimen, &cache.snapshots(), disk);
        assert_not_kept(&cache, specimen, &complaints).expect("Pass", &[]);
    }
    let mut specimen = cache.specimen("parted");
    limit(&mut specimen, libc::RLIMIT_FSIZE, 768 << 20);
    assert_not_kept(&cache, specimen, &["File too large", "raise `ulimit -f`"]).expect("Pass", &[]);
}

#[test]
fn a_host_that_is_short_of_something_takes_nothing_from_the_next_run() {
    let cache = OwnCache::with_snapshot("good");
    let snapshot = cache.snapshot();
    let mut specimen = cache.specimen("good");
    limit(&mut specimen, libc::RLIMIT_NOFILE, 10);
    let outcome = specimen.run();
    outcome.expect("Inconclusive", &["Too many open files", "raise `ulimit -n`"]);
    assert_said(
        &outcome.output,
        &["the guest boots, for this host does not let it go on from a snapshot", "ulimit -n"],
    );
    assert_eq!(cache.snapshot(), snapshot);
    cache.check(cache.specimen("good"), &BootPart::Forked);
}

#[test]
fn a_machine_whose_kernel_has_complained_is_not_kept() {
    let cache = OwnCache::new();
    let specimen = cache.specimen("siblings").env("KTSTR_KARGS", "idle=poll");
    let outcome = assert_not_kept(&cache, specimen, &["its kernel is not healthy: kernel warning on the console"]);
    outcome.expect("Fail", &["kernel warning on the console"]);
}

/// It says that, and why.
fn assert_not_kept(cache: &OwnCache, specimen: Specimen, complaints: &[&str]) -> Outcome {
    let outcome = specimen.run();
    let why = not_kept(&outcome);
    complaints.iter().for_each(|complaint| assert!(why.contains(complaint), "{why}"));
    assert_said(&outcome.output, &["this machine is not kept", why]);
    assert_eq!(cache.entries(), Vec::<PathBuf>::new());
    outcome
}
