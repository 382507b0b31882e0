//! Steps that need a genuine /dev/kvm: already built test programs, run in the kvm-lab.

use super::relay::relay;
use super::summary::Summary;
use super::{cargo, xtask};
use anyhow::{Context, Result, ensure};
use ktstr_cli::binaries::{Binary, integration_test};
use ktstr_kernels::Kernel;
use std::process::Command;
use xshell::Shell;

/// The lab's options. The time limits are several times what the steps take on two busy cores.
const BACKEND: &str = "--timeout 20m";
const TEST: &str = "--timeout 10m";
const PRESETS_LAB: &str = "--timeout 20m";
const FAULTS_LAB: &str = "--timeout 20m";
/// A processor of the first Zen: Linux has eight APIC ids for each of its LLCs, so that few CPUs have ids above 254.
const ZEN: &str = "--timeout 10m --cpu family=23,model=1";

/// What goes wrong with a machine, as far as it is another thing under kvm.
const FAULTS: [&str; 4] = [
    "vcpu_stuck_in_the_kernel_fails",
    "triple_fault_is_inconclusive",
    "guest_that_resets_at_once_ends_there",
    "suspended_host_changes_no_verdict",
];

/// What schedulers come to.
const SCHEDULERS: [&str; 2] = ["a_sound_scheduler_passes", "an_error_exit_has_the_schedulers_words"];

/// Presets that stand for the others: odd counts, SMT, a few dozen CPUs, and what can be said of nodes.
const PRESETS: [&str; 12] = [
    "tiny_1llc",
    "odd_3llc",
    "odd_7llc",
    "smt_2llc",
    "smt_3llc",
    "medium_4llc",
    "numa_2x2",
    "numa_4x2",
    "numa_line",
    "numa_pairs",
    "numa_memory_only",
    "numa_uneven",
];

/// The tests of the kvm backend itself; they boot guests with one vCPU and with four.
pub(super) fn backend(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    run(shell, kernel, BACKEND, integration_test(binaries, "ktstr-vmm", "kvm")?, &["--ignored"], 1)
}

/// The two-cgroup scheduler tests, from declaration to verdict.
pub(super) fn scheduler_test(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    run(shell, kernel, TEST, integration_test(binaries, "ktstr", "steady")?, &[], 1)
}

/// Tests whose machines boot, are kept, and are gone on from, on RAM that is shared and on RAM that is not.
pub(super) fn forks(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    let program = integration_test(binaries, "ktstr", "forks")?;
    run(shell, kernel, TEST, program, &["--ignored", "--exact", "on_kvm", "crowded_on_kvm"], 2)
}

/// A dozen machines, each as it was declared.
pub(super) fn presets(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    let arguments: Vec<&str> = ["--exact"].into_iter().chain(PRESETS).collect();
    let program = integration_test(binaries, "ktstr", "presets")?;
    run(shell, kernel, PRESETS_LAB, program, &arguments, PRESETS.len() as u64)
}

/// A machine with more APIC ids than the short ones.
pub(super) fn wide_apic_ids(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    let program = integration_test(binaries, "ktstr", "topology")?;
    run(shell, kernel, ZEN, program, &["--ignored", "--exact", "apic_ids_above_254"], 1)
}

/// Machines to which something happens, or that do something to themselves.
pub(super) fn faults(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    let arguments: Vec<&str> = ["--exact"].into_iter().chain(FAULTS).collect();
    let program = integration_test(binaries, "ktstr", "vm_faults")?;
    run(shell, kernel, FAULTS_LAB, program, &arguments, FAULTS.len() as u64)
}

/// A scheduler that is sound, one that errs, and one that stalls under the watchdog of the test.
pub(super) fn schedulers(shell: &Shell, needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    // The tests ask cargo for it, which in the lab would take far too long to build it.
    cargo(shell, "build --quiet --package scx-ktstr --bin scx-ktstr --profile release").run()?;
    let faults = integration_test(binaries, "ktstr", "scheduler_faults")?;
    let arguments: Vec<&str> = ["--exact"].into_iter().chain(SCHEDULERS).collect();
    run(shell, kernel, TEST, faults, &arguments, SCHEDULERS.len() as u64)?;
    let maps = integration_test(binaries, "ktstr", "scheduler_maps")?;
    run(shell, kernel, TEST, maps, &["--exact", "the_watchdog_waits_as_long_as_the_test_says"], 1)
}

/// Runs one test program, a test at a time, for guests are slow there. At least so many tests must pass.
fn run(shell: &Shell, kernel: &Kernel, lab: &str, binary: &Binary, arguments: &[&str], at_least: u64) -> Result<()> {
    let program = binary.path.to_string_lossy();
    let mut words = vec!["kvm-lab"];
    words.extend(lab.split(' '));
    words.extend(["--", &program, "--test-threads=1"]);
    words.extend(arguments);
    let command = xtask(shell, &words)?
        .env("KTSTR_ACCEL", "kvm")
        .env("KTSTR_KERNEL", format!("path:{}", kernel.dir.display()))
        .env("KTSTR_TEST_KERNEL", kernel.vmlinux());
    println!("$ {command}");
    let relayed = relay(&mut Command::from(command))?;
    ensure!(relayed.status.success(), "{} in the lab ended with {}", binary.target.name, relayed.status);
    let passed = Summary::of_libtest(&relayed.text).passed;
    ensure!(passed >= at_least, "{passed} tests have run in the lab instead of {at_least}");
    Ok(())
}
