//! `ktstr compare` as CI uses it: by its exit code.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::{AssertResult, Chosen, GuestPart, Record, Verdict};
use ktstr_workload::WorkerReport;
use std::path::Path;
use std::process::Command;

/// Eight replicas whose worker did about so much work.
fn write_run(dir: &Path, accel: Chosen, work_units: u64) {
    for replica in 0..8 {
        let report = WorkerReport {
            cgroup: "cg_0".to_owned(),
            work_units: work_units + u64::from(replica),
            wall_time_ns: 1_000_000_000,
            ..WorkerReport::default()
        };
        let result = AssertResult { reports: vec![report], ..AssertResult::default() };
        let guest = GuestPart { result: Some(result), ..GuestPart::default() };
        let record = support::record("steady", Verdict::Pass);
        let record = Record { replica, seed: replica.into(), accel: Some(accel), guest, ..record };
        record.write(dir).unwrap();
    }
}

fn check(before: &Path, after: &Path, code: i32, said: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_ktstr")).arg("compare").args([before, after]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(said), "{text}");
}

#[test]
fn exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let [good, bad, other, empty] = ["good", "bad", "other", "empty"].map(|name| dir.path().join(name));
    write_run(&good, Chosen::Tcg, 1000);
    write_run(&bad, Chosen::Tcg, 700);
    write_run(&other, Chosen::Kvm, 1000);
    std::fs::create_dir(&empty).unwrap();
    check(
        &good,
        &bad,
        1,
        "worse    steady  cg_0 work rate: 1004/s → 704/s, ×0.70 [0.70 to 0.70], delta -1.00, p < 0.001",
    );
    check(&bad, &good, 0, "0 worse, 1 better");
    check(&good, &good, 0, "0 worse, 0 better, 1 without");
    check(&good, &other, 2, "their times are not alike");
    check(&good, &empty, 2, "there are no records in");
}
