//! `verifier`: what the kernel's verifier thinks of a scheduler's programs.

mod guest;
mod loads;
mod output;
mod runs;

use anyhow::{Context, Result};
use ktstr::{Accel, Settings};
use ktstr_kernels::Spec;
use runs::{Profile, Source};
use std::process::ExitCode;

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
    /// A profile: its name, and the arguments that it gives the scheduler. May be given several times
    #[arg(long, value_name = "NAME=ARGS")]
    profile: Vec<Profile>,
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
    let raw_id = format!("run-{}", std::process::id());
    let mut done = Vec::new();
    for run in runs::all(&args.scheduler, &kernels, &args.profile) {
        eprintln!("verifier: {run}");
        let report = guest::load(&run, args.level, args.accel).with_context(|| run.to_string())?.report(&run);
        if args.raw {
            output::write_raw(&report, &raw_id)?;
        }
        done.push(report);
    }
    output::print(&done, args)?;
    // What was found outweighs what is not known.
    Ok(if done.iter().any(loads::Report::is_refused) {
        REFUSED
    } else if done.iter().any(loads::Report::is_unknown) {
        NO_ANSWER
    } else {
        0
    })
}
