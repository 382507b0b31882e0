//! `test`: a machine that can run tests, a kernel, the runner, and a table of what came out.

mod runner;
mod table;
mod tally;

use crate::runs::{Run, cases};
use crate::{cargo, junit, kernel, ktap, setup};
use anyhow::{Context, Result};
use ktstr::{Settings, runs_dir};
use ktstr_kernels::Spec;
use runner::Runner;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tally::Tally;
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
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write the results as KTAP; without a file alone on standard output, and all else on standard error
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    ktap: Option<PathBuf>,
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

    /// Whether standard output is for a program.
    fn output_is_ktap(&self) -> bool {
        self.ktap.as_ref().is_some_and(|path| path.as_os_str() == "-")
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
    let passed = runner.run(&shell, &runner.arguments(args, scope), args.output_is_ktap())?;

    let run = Run::read(&runs_dir(&target_dir).join(&run_id))?;
    let tally = Tally::of(&run, &settings, &args.expected(scope));
    let text = conclusion(&run, &tally, passed);
    match args.output_is_ktap() {
        true => eprint!("{text}"),
        false => print!("{text}"),
    }
    export(args, &run, &tally, passed)?;
    let passed = passed && tally.failed == 0 && tally.passed > 0;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A name for this run's records that no other has.
fn run_id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("run-{}-{}", since.as_secs(), std::process::id())
}

/// The table and what there is to say about it; the plain count is the last line.
fn conclusion(run: &Run, tally: &Tally, runner_passed: bool) -> String {
    let mut text = format!("\n{}", table::render(run.records()));
    run.records().filter_map(table::reasons).for_each(|reason| text.push_str(&reason));
    let damaged = run.damaged.iter().map(|damaged| format!("{}: {}", damaged.test, damaged.verdict()));
    let absent = tally.absent.iter().map(|test| format!("no record of {test}: it did not run, or it did not end"));
    let none = run.whole.is_empty().then(|| "no scheduler test has run".to_owned());
    let dir = format!("records: {}", run.dir.display());
    let other = !runner_passed && tally.failed == 0;
    let other = other.then(|| "the test runner failed for another reason: see above".to_owned());
    let accelerators = table::accelerators(run.records()).into_iter();
    let lines = damaged.chain(absent).chain(none).chain(accelerators).chain([dir]).chain(other);
    for line in lines.chain([tally.to_string()]) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Writes the results in the forms that were asked for.
fn export(args: &Args, run: &Run, tally: &Tally, runner_passed: bool) -> Result<()> {
    let cases = cases(run, &tally.absent, runner_passed);
    if let Some(path) = &args.junit {
        junit::write(path, &run.id(), &cases)?;
    }
    match &args.ktap {
        Some(_) if args.output_is_ktap() => print!("{}", ktap::render(&cases)),
        Some(path) => {
            fs::write(path, ktap::render(&cases)).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => {}
    }
    Ok(())
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
