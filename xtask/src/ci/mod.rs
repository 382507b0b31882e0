//! `ci`: everything that must hold before a change lands. All steps run; all that fail are listed.

mod emulated;
mod lab;
mod relay;
mod report;
mod summary;
mod ways;

use crate::tidy;
use anyhow::{Context, Result, ensure};
use ktstr_cli::binaries::{self, Binary};
use ktstr_cli::cargo;
use ktstr_cli::kernel;
use ktstr_cli::setup::{self, Group};
use ktstr_kernels::{Kernel, Spec};
use relay::relay;
use report::Report;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;
use summary::Summary;
use xshell::{Cmd, Shell, cmd};

/// What `--full` builds and boots.
const SOURCE: &str = "source:linux-source-6.12";

/// Where below the target directory the schedulers of the kernel's own source are.
const SCHEDULERS: &str = "ktstr/sched_ext";

/// Where this program is.
static OWN_PATH: OnceLock<PathBuf> = OnceLock::new();

/// Check the whole project: format, lints, tidiness, documentation and every test
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Fuzz, build a kernel from source and boot it, and boot the largest machines, too: twenty minutes more
    #[arg(long)]
    full: bool,
}

/// Runs all steps. The test runner's summary is the last thing to be printed.
///
/// # Errors
/// When not even a first step could be taken.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    // Asked before anything is built: afterwards the answer would be a file that is gone.
    let own_path = std::env::current_exe().context("cannot tell which program this is")?;
    let _ = OWN_PATH.set(own_path);
    let shell = Shell::new()?;
    let mut report = Report::default();
    report.step("setup", || {
        let groups = [
            Group::Emulator,
            Group::Packages,
            Group::Bpf,
            Group::SchedExt,
            Group::Lab,
            Group::Programs,
            Group::Browser,
        ];
        setup::ensure(&groups)
    });
    report.step("format", || run_plainly(cargo(&shell, "fmt --all --check")));
    let clippy = "clippy --workspace --all-targets --quiet -- --deny warnings";
    report.step("clippy", || run_plainly(cargo(&shell, clippy)));
    let built = report.step("build the tests", || binaries::build(&shell, &["--workspace".to_owned()]));
    report.step("tidy", || tidy(&shell, built.as_deref()));
    report.step("doc tests", || run_plainly(cargo(&shell, "test --doc --workspace --quiet")));
    let kernel = report.step("kernel", default_kernel);
    report.step("the kernel's own schedulers", || kernels_schedulers(&shell, kernel.as_ref()));
    report.step("selftests of the kernel", || selftests(&shell, kernel.as_ref(), args.full));
    report.step("the verifier, on two profiles of flags", || verifier(&shell, kernel.as_ref()));
    let both = built.as_deref().zip(kernel.as_ref());
    report.step("the kvm backend, in the lab", || lab::backend(&shell, both));
    report.step("a scheduler test on kvm, in the lab", || lab::scheduler_test(&shell, both));
    report.step("forks on kvm, in the lab", || lab::forks(&shell, both));
    report.step("sched_ext schedulers on kvm, in the lab", || lab::schedulers(&shell, both));
    report.step("a dozen machines on kvm, in the lab", || lab::presets(&shell, both));
    report.step("APIC ids above 254 on kvm, in the lab", || lab::wide_apic_ids(&shell, both));
    report.step("faults of machines on kvm, in the lab", || lab::faults(&shell, both));
    report.step("the same tests three ways", || ways::three(&shell, kernel.as_ref(), args.full));
    report.step("schedulers on the oldest kernel", || emulated::oldest_kernel(built.as_deref()));
    if args.full {
        let path = report.step("build a kernel", || build_kernel(&shell));
        report.step("a scheduler test on it", || boot_built(&shell, path.as_deref()));
        report.step("the largest machines", || emulated::largest_machines(both));
        let lab_tests = "test --quiet --package xtask --test kvm_lab -- --ignored";
        report.step("fuzzing", || run_plainly(xtask(&shell, &["fuzz", "--seconds", "10"])?));
        report.step("the lab itself", || run_plainly(cargo(&shell, lab_tests)));
    }
    let mut summary = Summary::default();
    report.step("all tests", || all_tests(&shell, kernel.as_ref(), &mut summary));
    println!("\n{report}");
    println!("{summary}");
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo<'a>(shell: &'a Shell, words: &str) -> Cmd<'a> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    cargo::command(shell, &words)
}

fn run_plainly(command: Cmd<'_>) -> Result<()> {
    Ok(command.run()?)
}

fn tidy(shell: &Shell, built: Option<&[Binary]>) -> Result<()> {
    let clean = tidy::check(shell, built.context("the tests were not built")?)?;
    ensure!(clean, "see the complaints above");
    Ok(())
}

/// The kernel that all tests are run on, as `KTSTR_KERNEL` says.
fn default_kernel() -> Result<Kernel> {
    let spec = std::env::var("KTSTR_KERNEL").ok().filter(|spec| !spec.is_empty());
    let spec: Spec = spec.as_deref().unwrap_or("latest").parse()?;
    let kernel = kernel::resolve(&kernel::absolute(&spec)?)?;
    println!("{}", kernel.id);
    Ok(kernel)
}

/// Builds the schedulers of the kernel's source where tests look for them.
fn kernels_schedulers(shell: &Shell, kernel: Option<&Kernel>) -> Result<()> {
    let kernel = kernel.context("there is no kernel to build them for")?;
    kernel::schedulers(kernel, Some(&cargo::target_dir(shell)?.join(SCHEDULERS)))
}

/// The kernel's own selftests of sched_ext; by default a few, for all take minutes.
fn selftests(shell: &Shell, kernel: Option<&Kernel>, all: bool) -> Result<()> {
    let kernel = kernel.context("there is no kernel to run them on")?;
    let spec = format!("path:{}", kernel.dir.display());
    let mut words = vec!["selftests", "--accel", "tcg", "--kernel", &spec];
    if !all {
        words.push("select_cpu_dispatch");
    }
    run_plainly(xtask(shell, &words)?)
}

/// Two profiles that tests declare, side by side: the verb asks the tests that were built.
fn verifier(shell: &Shell, kernel: Option<&Kernel>) -> Result<()> {
    let kernel = kernel.context("there is no kernel to load programs on")?;
    let spec = format!("path:{}", kernel.dir.display());
    let words = ["verifier", "--accel", "tcg", "--kernel", &spec, "--profile", "short-slices", "--profile"];
    run_plainly(xtask(shell, &[&words[..], &["short-slices+partial"]].concat())?)
}

/// This program, for verbs of its own. Building the tests may put a new file in its place.
fn xtask<'a>(shell: &'a Shell, words: &[&str]) -> Result<Cmd<'a>> {
    let program = OWN_PATH.get().context("cannot tell which program this is")?;
    Ok(cmd!(shell, "{program} {words...}"))
}

/// The `path:` spec of the kernel that was built.
fn build_kernel(shell: &Shell) -> Result<String> {
    let output = xtask(shell, &["kernel", "build", SOURCE])?.read()?;
    println!("{output}");
    let spec = output.lines().find(|line| line.starts_with("path:"));
    spec.map(str::to_owned).with_context(|| format!("`kernel build {SOURCE}` named no kernel"))
}

fn boot_built(shell: &Shell, spec: Option<&str>) -> Result<()> {
    let spec = spec.context("the kernel was not built")?;
    run_plainly(xtask(shell, &["test", "steady", "--accel", "tcg", "--kernel", spec])?)
}

/// All tests of the workspace, machines included, under software emulation.
fn all_tests(shell: &Shell, kernel: Option<&Kernel>, summary: &mut Summary) -> Result<()> {
    let kernel = kernel.context("there is no kernel to run them on")?;
    let nextest = cargo::has_nextest();
    let words = match nextest {
        true => "nextest run --workspace --no-fail-fast",
        false => "test --workspace --lib --bins --tests --no-fail-fast",
    };
    let command =
        cargo(shell, words).env("KTSTR_ACCEL", "tcg").env("KTSTR_KERNEL", format!("path:{}", kernel.dir.display()));
    println!("$ {command}");
    let relayed = relay(&mut Command::from(command))?;
    *summary = if nextest { Summary::of_nextest(&relayed.text) } else { Summary::of_libtest(&relayed.text) };
    ensure!(relayed.status.success(), "the test runner ended with {}", relayed.status);
    ensure!(summary.passed > 0, "no test has run");
    Ok(())
}
