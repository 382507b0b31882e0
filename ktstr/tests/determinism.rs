//! Under emulation the same inputs and seed give the same record, however busy the host is, and another seed another.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::Record;
use ktstr::prelude::*;
use std::process::{Child, Command, Stdio};
use support::Specimen;

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by records_follow_from_the_seed"]
fn steady_twice(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn records_follow_from_the_seed() {
    let quiet = record("7", "0");
    let loaded = {
        let _load = Load::new();
        record("7", "0")
    };
    let other = record("8", "0");
    let watched = record("7", "1");
    assert!(
        watched.host.schedule.as_ref().is_some_and(|schedule| schedule.file.is_some())
            && !watched.guest.latencies.is_empty()
    );
    assert_eq!(text(&quiet), text(&loaded));
    assert_eq!(text(&quiet), text(&watched), "the guest could tell that its scheduler was watched");
    assert_ne!(text(&quiet).replace("\"seed\": 7", "\"seed\": 8"), text(&other));
    assert!(quiet.guest.result.is_some_and(|result| !result.reports.is_empty()));
}

fn record(seed: &str, trace: &str) -> Record {
    let specimen = Specimen::new("steady_twice").env("KTSTR_ACCEL", "tcg").env("KTSTR_SEED", seed);
    let outcome = specimen.env("KTSTR_TRACE", trace).run();
    outcome.expect("Pass", &[]);
    outcome.record
}

fn text(record: &Record) -> String {
    serde_json::to_string_pretty(&record.of_guest()).unwrap()
}

/// Keeps every CPU of the host busy.
struct Load(Vec<Child>);

impl Load {
    fn new() -> Self {
        let cpus = std::thread::available_parallelism().unwrap().get();
        let spin = || {
            let mut shell = Command::new("sh");
            shell.args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap()
        };
        Self((0..2 * cpus).map(|_| spin()).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
