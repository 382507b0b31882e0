//! `test`: a machine that can run tests, a kernel, the runner, and a table of what came out.

mod args;
mod chosen;
mod runner;
mod table;
mod tally;

use crate::gauntlet::join;
use crate::runs::{Run, cases};
use crate::{cargo, junit, kernel, ktap, setup, trace};
use anyhow::{Context, Result};
pub use args::{Args, Scope};
use ktstr::{Accel, Settings, runs_dir};
use ktstr_kernels::Spec;
use runner::Runner;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;
use tally::{Expected, Tally};
use xshell::Shell;

/// What the tests that were run came to, besides their records.
#[derive(Debug, Default)]
struct Ran {
    /// Whether what ran them says that all is well.
    passed: bool,
    /// What must have left a record.
    expected: Vec<Expected>,
    /// What else there is to say in the end.
    notes: Vec<String>,
}

/// A kernel that was asked for.
struct Wanted {
    spec: Spec,
    /// What it is now, as records have it.
    id: String,
}

/// What tests are run with.
struct Setting {
    settings: Settings,
    accel: Accel,
    kernels: Vec<Wanted>,
    target_dir: PathBuf,
    run_id: String,
    interrupted: Arc<AtomicBool>,
}

/// Runs the tests of `scope`.
///
/// # Errors
/// When they could not be run. Tests that did not pass are an exit code.
pub fn run(args: &Args, scope: &Scope) -> Result<ExitCode> {
    let shell = Shell::new()?;
    let setting = Setting::new(args, &shell)?;
    let Some(ran) = (if args.gauntlet || args.seeds.is_some() {
        chosen::run(args, scope, &setting, &shell)?
    } else {
        Some(run_by_cargo(args, scope, &setting, &shell)?)
    }) else {
        return Ok(ExitCode::SUCCESS);
    };
    let run = Run::read(&runs_dir(&setting.target_dir).join(&setting.run_id))?;
    let tally = Tally::of(&run, &setting.settings, &ran.expected);
    let text = conclusion(&run, &tally, &ran);
    match args.output_is_ktap() {
        true => eprint!("{text}"),
        false => print!("{text}"),
    }
    export(args, &run, &tally, ran.passed)?;
    let passed = ran.passed && tally.failed == 0 && tally.passed > 0;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Setting {
    /// Sets the machine up and gets the kernels.
    fn new(args: &Args, shell: &Shell) -> Result<Self> {
        let settings = Settings::from_env()?;
        let accel = match &args.accel {
            Some(text) => text.parse().map_err(anyhow::Error::msg).context("--accel")?,
            None => settings.accel,
        };
        setup::for_accelerator(accel)?;
        let mut specs = args.kernel.clone();
        if specs.is_empty() {
            specs.push(settings.kernel.parse().context("KTSTR_KERNEL")?);
        }
        let wanted = |spec: &Spec| -> Result<Wanted> {
            let spec = kernel::absolute(spec)?;
            Ok(Wanted { id: kernel::resolve(&spec)?.id, spec })
        };
        let kernels = specs.iter().map(wanted).collect::<Result<Vec<Wanted>>>()?;
        // Ctrl-C is for the tests, which end; this one waits for them and then says what came out.
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))?;
        let target_dir = cargo::target_dir(shell)?;
        Ok(Self { settings, accel, kernels, target_dir, run_id: run_id(), interrupted })
    }

    /// What the kernel of this spec is in records.
    fn id_of<'a>(&'a self, spec: &'a str) -> &'a str {
        self.kernels.iter().find(|kernel| kernel.spec.to_string() == spec).map_or(spec, |kernel| &kernel.id)
    }
}

/// Has cargo's test runner run them, once for each kernel.
fn run_by_cargo(args: &Args, scope: &Scope, setting: &Setting, shell: &Shell) -> Result<Ran> {
    shell.set_var("KTSTR_RUN_ID", &setting.run_id);
    if let Some(accel) = &args.accel {
        shell.set_var("KTSTR_ACCEL", accel);
    }
    if let Some(seed) = args.seed {
        shell.set_var("KTSTR_SEED", seed.to_string());
    }
    if !args.profile.is_empty() {
        shell.set_var("KTSTR_PROFILE", join(&args.profile));
    }
    if args.console {
        shell.set_var("KTSTR_CONSOLE", "1");
    }
    if args.trace.is_some() {
        shell.set_var("KTSTR_TRACE", "1");
    }
    let runner = Runner::installed();
    let mut passed = true;
    for kernel in &setting.kernels {
        shell.set_var("KTSTR_KERNEL", kernel.spec.to_string());
        passed &= runner.run(shell, &runner.arguments(args, scope), args.output_is_ktap())?;
    }
    let on_each = |test| setting.kernels.iter().map(move |kernel| Expected::new(test, &kernel.id));
    let expected = args.expected(scope).into_iter().flat_map(on_each).collect();
    Ok(Ran { passed, expected, notes: Vec::new() })
}

/// A name for this run's records that no other has.
fn run_id() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("run-{}-{}", since.as_secs(), std::process::id())
}

/// The table and what there is to say about it; the plain count is the last line.
fn conclusion(run: &Run, tally: &Tally, ran: &Ran) -> String {
    let mut text = format!("\n{}", table::render(run.records()));
    run.records().filter_map(table::reasons).for_each(|reason| text.push_str(&reason));
    let damaged = run.damaged.iter().map(|damaged| format!("{}: {}", damaged.test, damaged.verdict()));
    let absent = tally.absent.iter().map(|test| format!("no record of {test}: it did not run, or it did not end"));
    let none = run.whole.is_empty().then(|| "no scheduler test has run".to_owned());
    let dir = format!("records: {}", run.dir.display());
    let other = !ran.passed && tally.failed == 0;
    let other = other.then(|| "the test runner failed for another reason: see above".to_owned());
    let accelerators = table::accelerators(run.records()).into_iter();
    let lines = damaged.chain(absent).chain(none).chain(accelerators).chain([dir]).chain(other);
    for line in lines.chain(ran.notes.iter().cloned()).chain([tally.to_string()]) {
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
    if let Some(path) = &args.trace {
        trace::write_run(run, path)?;
    }
    Ok(())
}
