//! A test does the same whether its machine booted or went on from where another one was, and forks share nothing.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::prelude::*;
use ktstr::{BootPart, Record};
use std::fs;
use std::path::Path;
use support::Specimen;

/// Left by each run in its own guest, and found by none.
const TRACE: &str = "/tmp/ktstr-was-here";

#[ktstr_test(duration_s = 0.5)]
#[ignore = "a specimen: run by one_cpu"]
fn steady_on_1(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

#[ktstr_test(cores = 2, threads = 2, duration_s = 0.5)]
#[ignore = "a specimen: run by four_cpus"]
fn steady_on_4(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

#[ktstr_test(llcs = 2, cores = 4, threads = 2, duration_s = 0.5)]
#[ignore = "a specimen: run by sixteen_cpus"]
fn steady_on_16(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

#[ktstr_test(llcs = 4, cores = 8, threads = 2, numa_nodes = 2, duration_s = 0.5)]
#[ignore = "a specimen: run by sixty_four_cpus"]
fn steady_on_64(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

// In the lab all vCPUs share a slow CPU: how fair that is shows nothing.
#[ktstr_test(cores = 2, duration_s = 0.5, max_spread_pct = 1000, max_gap_ms = 60_000)]
#[ignore = "a specimen: run by on_kvm"]
fn somehow_on_2(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

// So many share the RAM of a snapshot no more.
#[ktstr_test(llcs = 2, cores = 12, duration_s = 0.5, max_spread_pct = 1000, max_gap_ms = 60_000)]
#[ignore = "a specimen: run by crowded_on_kvm"]
fn somehow_on_24(ctx: &Ctx) -> Result<AssertResult> {
    body(ctx)
}

#[test]
fn one_cpu() {
    check("steady_on_1");
}

#[test]
fn four_cpus() {
    check("steady_on_4");
}

#[test]
fn sixteen_cpus() {
    check("steady_on_16");
}

#[test]
fn sixty_four_cpus() {
    check("steady_on_64");
}

#[test]
#[ignore = "needs a genuine /dev/kvm: run in the lab"]
fn on_kvm() {
    check_on_kvm("somehow_on_2");
}

#[test]
#[ignore = "needs a genuine /dev/kvm: run in the lab"]
fn crowded_on_kvm() {
    check_on_kvm("somehow_on_24");
}

/// Something that is random by the kernel, and a scenario.
fn body(ctx: &Ctx) -> Result<AssertResult> {
    assert!(!Path::new(TRACE).exists(), "another run was in this guest");
    fs::write(TRACE, "")?;
    println!("random {}", fs::read_to_string("/proc/sys/kernel/random/uuid")?);
    scenarios::steady(ctx)
}

fn check_on_kvm(name: &'static str) {
    let kvm = ("KTSTR_ACCEL", "kvm");
    let runs = [("off", BootPart::Booted), ("on", BootPart::Kept), ("on", BootPart::Forked), ("on", BootPart::Forked)];
    let randoms = runs.map(|(snapshot, boot)| {
        let record = run(name, &[kvm, ("KTSTR_SNAPSHOT", snapshot)]);
        assert_eq!(record.host.boot, boot);
        random(&record).to_owned()
    });
    // There the same seed is not the same run, and two forks share no random numbers.
    assert!((1..randoms.len()).all(|number| !randoms[number..].contains(&randoms[number - 1])), "{randoms:?}");
}

fn check(name: &'static str) {
    let booted = run(name, &[("KTSTR_SNAPSHOT", "off"), ("KTSTR_TRACE", "1")]);
    assert_eq!(booted.host.boot, BootPart::Booted);
    // One that found a snapshot of an earlier run shows less, and no less than the next.
    let first = run(name, &[]);
    assert!(matches!(first.host.boot, BootPart::Kept | BootPart::Forked), "{:?}", first.host.boot);
    let forked = run(name, &[]);
    let watched = run(name, &[("KTSTR_TRACE", "1")]);
    let other = run(name, &[("KTSTR_SEED", "8")]);
    for (run, what) in [(&first, "kept"), (&forked, "forked"), (&watched, "forked and watched")] {
        let (booted, run) = (text(&booted), text(run));
        let lines = booted.lines().zip(run.lines()).find(|(of_booted, of_run)| of_booted != of_run);
        assert_eq!(lines, None, "the guest could tell that it was {what}");
        assert_eq!(booted.len(), run.len());
    }
    for run in [&forked, &watched, &other] {
        assert_eq!(run.host.boot, BootPart::Forked);
    }
    assert!(!watched.guest.latencies.is_empty());
    assert_eq!(booted.guest.latencies, watched.guest.latencies);
    assert_ne!(random(&forked), random(&other));
    let as_with_8 = text(&forked).replace("\"seed\": 1", "\"seed\": 8").replace(random(&forked), random(&other));
    assert_ne!(as_with_8, text(&other), "another seed gave the same run");
}

fn run(name: &'static str, env: &[(&str, &str)]) -> Record {
    let specimen = Specimen::new(name).env("KTSTR_ACCEL", "tcg").env("KTSTR_SNAPSHOT", "on");
    let outcome = env.iter().fold(specimen, |specimen, (key, value)| specimen.env(key, value)).run();
    outcome.expect("Pass", &[]);
    outcome.record
}

fn random(record: &Record) -> &str {
    record.guest.output.lines().find_map(|line| Some(line.split_once("random ")?.1)).unwrap()
}

fn text(record: &Record) -> String {
    serde_json::to_string_pretty(&record.of_guest()).unwrap()
}
