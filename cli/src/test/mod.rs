//! `test`: a machine that can run tests, a kernel, the runner, and a table of what came out.

mod records;
mod runner;
mod table;

use crate::kernel;
use crate::setup;
use crate::{cargo, test::records::Records};
use anyhow::{Context, Result};
use ktstr::{Settings, runs_dir};
use ktstr_kernels::Spec;
use runner::Runner;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use xshell::Shell;

/// Run scheduler tests and show what came out
///
/// Gets the kernel first, then runs cargo nextest, or cargo test where that is not installed. Exits 0 only when every
/// test passed.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only tests whose name has this in it
    name: Option<String>,
    /// The kernel: latest (default), host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
    #[arg(long, value_name = "SPEC")]
    kernel: Option<Spec>,
    /// What runs the machines: auto (default), kvm or tcg
    #[arg(long)]
    accel: Option<String>,
    /// The seed of every random choice
    #[arg(long)]
    seed: Option<u64>,
    /// Show the guests' consoles as they come, each line after the test's name and the host's time
    #[arg(long)]
    console: bool,
    /// More arguments for the test runner
    #[arg(last = true, value_name = "RUNNER ARGS")]
    runner: Vec<String>,
}

/// Which tests there are to run.
#[derive(Debug, Default)]
pub struct Scope {
    /// Arguments that choose packages and targets, for `cargo nextest run` and `cargo test` alike.
    pub cargo: Vec<String>,
    /// Names of the tests that must leave a record, where they are known.
    pub expected: Vec<String>,
}

impl Args {
    /// What the names of the tests must have in them, if anything.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The tests that must leave a record of those in the scope; none when the runner is told more than a name.
    fn expected<'a>(&self, scope: &'a Scope) -> Vec<&'a str> {
        let chosen = |test: &&String| self.name.as_ref().is_none_or(|name| test.contains(name));
        let all = if self.runner.is_empty() { scope.expected.as_slice() } else { &[] };
        all.iter().filter(chosen).map(String::as_str).collect()
    }
}

/// Runs the tests of `scope`.
///
/// # Errors
/// When they could not be run. Tests that did not pass are an exit code.
pub fn run(args: &Args, scope: &Scope) -> Result<ExitCode> {
    let settings = Settings::from_env()?;
    let accel = match &args.accel {
        Some(text) => text.parse().map_err(anyhow::Error::msg).context("--accel")?,
        None => settings.accel,
    };
    setup::for_accelerator(accel)?;
    let spec = args.kernel.clone().map_or_else(|| settings.kernel.parse().context("KTSTR_KERNEL"), Ok)?;
    let spec = kernel::absolute(&spec)?;
    kernel::resolve(&spec)?;

    let shell = Shell::new()?;
    let target_dir = cargo::target_dir(&shell)?;
    let run_id = run_id();
    shell.set_var("KTSTR_KERNEL", spec.to_string());
    shell.set_var("KTSTR_RUN_ID", &run_id);
    if let Some(accel) = &args.accel {
        shell.set_var("KTSTR_ACCEL", accel);
    }
    if let Some(seed) = args.seed {
        shell.set_var("KTSTR_SEED", seed.to_string());
    }
    if args.console {
        shell.set_var("KTSTR_CONSOLE", "1");
    }
    // Ctrl-C is for the runner, which ends its tests; this one waits for it and then says what came out.
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))?;
    let runner = Runner::installed();
    let passed = runner.run(&shell, &runner.arguments(args, scope))?;

    let dir = runs_dir(&target_dir).join(&run_id);
    let records = Records::read(&dir)?;
    Ok(conclude(&records, &settings, &args.expected(scope), passed, &dir))
}

/// A name for this run's records that no other has.
fn run_id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("run-{}-{}", since.as_secs(), std::process::id())
}

/// Prints the table and what there is to say about it; the plain count is the last line.
fn conclude(
    records: &Records,
    settings: &Settings,
    expected: &[&str],
    runner_passed: bool,
    dir: &std::path::Path,
) -> ExitCode {
    let tally = records.tally(settings, expected);
    println!();
    print!("{}", table::render(&records.whole));
    records.whole.iter().filter_map(table::reasons).for_each(|text| print!("{text}"));
    records.unreadable.iter().for_each(|text| println!("unreadable record: {text}"));
    tally.absent.iter().for_each(|test| println!("no record of {test}: it did not run, or it did not end"));
    if records.whole.is_empty() {
        println!("no scheduler test has run");
    }
    table::accelerators(&records.whole).iter().for_each(|line| println!("{line}"));
    println!("records: {}", dir.display());
    if !runner_passed && tally.failed == 0 {
        println!("the test runner failed for another reason: see above");
    }
    println!("{tally}");
    let passed = runner_passed && tally.failed == 0 && tally.passed > 0;
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_narrows_what_must_leave_a_record() {
        let scope = Scope { cargo: Vec::new(), expected: vec!["steady".into(), "cgroups::declared".into()] };
        let mut args = Args::default();
        assert_eq!(args.expected(&scope), ["steady", "cgroups::declared"]);
        args.name = Some("cgr".into());
        assert_eq!(args.expected(&scope), ["cgroups::declared"]);
        args.runner = vec!["-E".into(), "none()".into()];
        assert!(args.expected(&scope).is_empty(), "what a filter expression chooses is not known here");
    }
}
