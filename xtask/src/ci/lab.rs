//! Steps that need a genuine /dev/kvm: already built test programs, run in the kvm-lab.

use super::relay::relay;
use super::summary::Summary;
use super::xtask;
use crate::binaries::{Binary, integration_test};
use anyhow::{Context, Result, ensure};
use ktstr_kernels::Kernel;
use std::process::Command;
use xshell::Shell;

/// Time limits, several times what the steps take on two busy cores.
const BACKEND_LIMIT: &str = "20m";
const TEST_LIMIT: &str = "10m";

/// The tests of the kvm backend itself; they boot guests with one vCPU and with four.
pub(super) fn backend(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    run(shell, kernel, BACKEND_LIMIT, integration_test(binaries, "ktstr-vmm", "kvm")?, &["--ignored"])
}

/// The two-cgroup scheduler tests, from declaration to verdict.
pub(super) fn scheduler_test(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    run(shell, kernel, TEST_LIMIT, integration_test(binaries, "ktstr", "steady")?, &[])
}

/// Runs one test program, a test at a time, for guests are slow there.
fn run(shell: &Shell, kernel: &Kernel, limit: &str, binary: &Binary, arguments: &[&str]) -> Result<()> {
    let program = binary.path.to_string_lossy();
    let mut words = vec!["kvm-lab", "--timeout", limit, "--", &program, "--test-threads=1"];
    words.extend(arguments);
    let command = xtask(shell, &words)?
        .env("KTSTR_ACCEL", "kvm")
        .env("KTSTR_KERNEL", format!("path:{}", kernel.dir.display()))
        .env("KTSTR_TEST_KERNEL", kernel.vmlinux());
    println!("$ {command}");
    let relayed = relay(&mut Command::from(command))?;
    ensure!(relayed.status.success(), "{} in the lab ended with {}", binary.target.name, relayed.status);
    ensure!(Summary::of_libtest(&relayed.text).passed > 0, "no test has run in the lab");
    Ok(())
}
