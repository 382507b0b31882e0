//! `verifier`: what the kernel's verifier thinks of a scheduler's programs.

mod declared;
mod guest;
mod loads;
mod output;
mod runs;

use anyhow::{Context, Result};
use declared::Declared;
use ktstr::{Accel, Settings};
use ktstr_kernels::Spec;
use loads::Report;
use runs::{Asked, Run, Source};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Exit codes: a program was refused, or was not what its log says; it could not be told.
const REFUSED: u8 = 1;
const NO_ANSWER: u8 = 2;

/// See what the kernel's verifier thinks of a scheduler's BPF programs
///
/// Boots a machine, starts the scheduler as it is, and takes the verifier's log of each program while it loads: how much
/// verification cost and how near to the limit it is; of a program that was refused, the path that failed, in the order of
/// execution, and why. With several schedulers, kernels or profiles, each is compared with the first.
///
/// The exit code is 0 when all programs were verified, 1 when one was refused or its counts differ from the kernel's, and 2
/// when that could not be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A scheduler: a path, a name on the search path, or package:NAME of this workspace, which cargo builds. May be given
    /// several times
    #[arg(long, value_name = "SCHEDULER", default_value = "package:scx-ktstr")]
    scheduler: Vec<Source>,
    /// A kernel: latest (default), host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE. May be given several times
    #[arg(long, value_name = "SPEC")]
    kernel: Vec<Spec>,
    /// A profile: flags that the tests of this workspace declare for the scheduler, such as llc+steal, or plain for none; or a name of
    /// your own, and the arguments that it gives the scheduler. May be given several times
    #[arg(long, value_name = "FLAGS|NAME=ARGS")]
    profile: Vec<Asked>,
    /// How much the verifier logs: 1, the path of what it refuses, or 2, all that it does
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    level: u32,
    /// Write the logs to files below target/ktstr/verifier, and say where
    #[arg(long)]
    raw: bool,
    /// Print JSON
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV with veristat's columns
    #[arg(long)]
    csv: bool,
    /// What runs the machine: auto (default), kvm or tcg
    #[arg(long)]
    accel: Option<Accel>,
    /// How long a scheduler may take until the kernel has enabled it, in the guest's time, such as 90s
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Runs the schedulers.
pub fn run(args: &Args) -> ExitCode {
    ExitCode::from(answer(args).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        NO_ANSWER
    }))
}

fn answer(args: &Args) -> Result<u8> {
    let default = || Settings::from_env()?.kernel.parse().context("KTSTR_KERNEL");
    let kernels = if args.kernel.is_empty() { vec![default()?] } else { args.kernel.clone() };
    let declared = Declared::ask(&args.profile)?;
    let runs = runs::all(&args.scheduler, &kernels, &args.profile, |scheduler, flags| declared.find(scheduler, flags))?;
    // What is not there is told before the first machine boots.
    let programs = runs.iter().map(|run| run.scheduler.program()).collect::<Result<Vec<_>>>()?;
    let mut done = Vec::new();
    let mut error = None;
    for (run, program) in runs.iter().zip(&programs) {
        match load(run, program, args) {
            Ok(report) => done.push(report),
            Err(why) => {
                error = Some(why.context(run.to_string()));
                break;
            }
        }
    }
    // What has been found is not lost with what comes later.
    output::print(&done, args)?;
    let written = if args.raw { output::write_raw(&done) } else { Ok(()) };
    if done.iter().any(Report::is_refused) {
        [error, written.err()].into_iter().flatten().for_each(|error| eprintln!("error: {error:#}"));
        return Ok(REFUSED);
    }
    error.map_or(written, Err)?;
    Ok(if done.iter().any(Report::is_unknown) { NO_ANSWER } else { 0 })
}

fn load(run: &Run, program: &Path, args: &Args) -> Result<Report> {
    eprintln!("verifier: {run}");
    Ok(guest::load(run, program, args)?.report(run))
}
