//! The lab as its callers see it: exit codes, output, time limit. Each test boots an emulated machine and the first one
//! may fetch its kernel, so they run when asked for: `cargo test -p xtask --test kvm_lab -- --ignored`.

#![allow(clippy::unwrap_used)]

use sha2::{Digest, Sha256};
use std::process::{Command, Output};

fn lab(options: &[&str], script: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("kvm-lab").args(options).args(["--", "sh", "-c", script]);
    command.output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "boots an emulated machine"]
fn output_and_exit_code_arrive_whole() {
    let output = lab(&[], "[ -c /dev/kvm ] || exit 1; echo problem >&2; seq 1 2000000 | head -c 10000000; exit 7");
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    let mut expected: String = (1..=2_000_000).map(|number| format!("{number}\n")).collect();
    expected.truncate(10_000_000);
    assert_eq!(output.stdout.len(), expected.len());
    assert_eq!(Sha256::digest(&output.stdout), Sha256::digest(expected.as_bytes()));
    assert!(errors(&output).ends_with("problem\n"), "{}", errors(&output));
}

#[test]
#[ignore = "boots an emulated machine"]
fn the_time_limit_ends_it() {
    let output = lab(&["--timeout", "1s"], "sleep 1000");
    assert_eq!(output.status.code(), Some(124), "{}", errors(&output));
    assert!(errors(&output).contains("1 s have passed (--timeout)"), "{}", errors(&output));
}

#[test]
#[ignore = "boots an emulated machine"]
fn a_dead_kernel_is_the_labs_failure() {
    let output = lab(&[], "echo c >/proc/sysrq-trigger; sleep 1000");
    assert_eq!(output.status.code(), Some(125), "{}", errors(&output));
    assert!(errors(&output).contains("sysrq triggered crash"), "{}", errors(&output));
}
