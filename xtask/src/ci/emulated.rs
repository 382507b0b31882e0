//! Steps that run already built test programs, or a part of them, under software emulation.

use super::relay::relay;
use super::summary::Summary;
use anyhow::{Context, Result, ensure};
use ktstr_cli::binaries::{Binary, integration_test};
use ktstr_cli::kernel;
use ktstr_kernels::Kernel;
use std::process::Command;

/// The oldest packaged kernel with sched_ext and sound type information.
const OLDEST: &str = "6.16";

/// What a scheduler may come to, on a kernel that says it in other words than the newest, and has no deadline server for
/// sched_ext.
const ON_OLDEST: [&str; 4] = [
    "a_sound_scheduler_passes",
    "a_stalled_task_is_the_watchdogs",
    "a_stall_is_told_however_long_disabling_takes",
    "an_error_exit_has_the_schedulers_words",
];

/// Schedulers on the oldest kernel that they run on.
pub(super) fn oldest_kernel(binaries: Option<&[Binary]>) -> Result<()> {
    let binaries = binaries.context("the tests were not built")?;
    let kernel = kernel::resolve(&OLDEST.parse()?)?;
    println!("{}", kernel.id);
    let arguments: Vec<&str> = ["--exact", "--test-threads=1"].into_iter().chain(ON_OLDEST).collect();
    run(integration_test(binaries, "ktstr", "scheduler_faults")?, &kernel, &arguments, ON_OLDEST.len() as u64)
}

/// The presets that take too long for every day.
pub(super) fn largest_machines(needs: Option<(&[Binary], &Kernel)>) -> Result<()> {
    let (binaries, kernel) = needs.context("the tests or their kernel are missing")?;
    run(integration_test(binaries, "ktstr", "presets")?, kernel, &["--ignored", "--test-threads=2"], 1)
}

/// At least so many tests must pass.
fn run(binary: &Binary, kernel: &Kernel, arguments: &[&str], at_least: u64) -> Result<()> {
    let mut command = Command::new(&binary.path);
    command.args(arguments).env("KTSTR_ACCEL", "tcg").env("KTSTR_KERNEL", format!("path:{}", kernel.dir.display()));
    let relayed = relay(&mut command)?;
    ensure!(relayed.status.success(), "the test program ended with {}", relayed.status);
    let passed = Summary::of_libtest(&relayed.text).passed;
    ensure!(passed >= at_least, "{passed} tests have run instead of {at_least}");
    Ok(())
}
