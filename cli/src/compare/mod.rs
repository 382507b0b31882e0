//! `compare`: what got worse from one run to another, by how much, and how sure that is.
//!
//! Verdicts are compared as they are. Measurements are tested by ranks over the replicas of each variant, corrected for how
//! many tests that are; a variant with one sample is not tested, and a repeat of a deterministic run is no second sample.

mod judge;
mod metrics;
mod rank;
mod same;
mod text;
mod variants;

use crate::runs::{self, Run};
use anyhow::{Result, ensure};
use judge::{Judgement, Limits, judge};
use std::collections::BTreeSet;
use std::process::ExitCode;
use variants::{kernels, variants};

/// Compare two runs: what got worse, with effect size and confidence
///
/// Exits 1 when something got worse: a verdict, a test that is not there any more, or a measurement, significantly and by
/// more than the floor. Exits 2 when the runs cannot be compared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run to compare with, by its id or its directory
    before: String,
    /// The run that may be worse
    after: String,
    /// Call a difference significant when its p, after Holm's correction, is no larger
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Relative changes below this are of no interest
    #[arg(long, default_value_t = 0.05)]
    floor: f64,
    /// Compare only what both runs have, instead of calling it worse when a test is not there any more
    #[arg(long)]
    common: bool,
    /// Exit 1 unless each record is the same in both, but for what the host measured, as under emulation with the same seed
    #[arg(long)]
    same: bool,
    /// Show what did not change, too
    #[arg(long, short)]
    all: bool,
}

/// Compares them. That they cannot be compared is an exit code, too.
pub fn run(args: &Args) -> ExitCode {
    if args.same {
        return compare_records(args).unwrap_or_else(cannot);
    }
    match compare(args) {
        Ok(judgement) if judgement.is_worse() => ExitCode::FAILURE,
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => cannot(error),
    }
}

fn cannot(error: anyhow::Error) -> ExitCode {
    eprintln!("cannot compare: {error:#}");
    ExitCode::from(2)
}

fn read(name: &str) -> Result<Run> {
    Run::read(&runs::find(Some(name))?)
}

fn compare_records(args: &Args) -> Result<ExitCode> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    ensure!(!before.whole.is_empty() && !after.whole.is_empty(), "one of the runs has no record");
    let differences = same::differences(&before, &after);
    differences.iter().for_each(|line| println!("{line}"));
    println!("{} records, {} differences", before.whole.len(), differences.len());
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare(args: &Args) -> Result<Judgement> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let by_kernel = comparable(&before, &after)?;
    let limits = Limits { alpha: args.alpha, floor: args.floor };
    let judgement = judge(&variants(&before, by_kernel), &variants(&after, by_kernel), args.common, limits);
    ensure!(judgement.common > 0, "the runs have no test in common");
    print!("{}", text::head("before", &before));
    print!("{}", text::head("after ", &after));
    print!("{}", text::body(&judgement, args.all));
    Ok(judgement)
}

/// Whether variants are to be told apart by their kernels, as when both runs were on the same several ones.
fn comparable(before: &Run, after: &Run) -> Result<bool> {
    let accels = |run: &Run| -> BTreeSet<String> {
        run.records().filter_map(|record| record.accel.map(|accel| accel.to_string())).collect()
    };
    let (first, second) = (accels(before), accels(after));
    let known = !first.is_empty() && !second.is_empty();
    ensure!(!known || first == second, "one ran on {first:?}, the other on {second:?}: their times are not alike");
    ensure!(first.len() < 2, "each has records of several accelerators, {first:?}, whose times are not alike");
    let (first, second) = (kernels(before), kernels(after));
    let several = first.len() > 1 || second.len() > 1;
    ensure!(
        !several || first == second,
        "one ran on kernels {first:?}, the other on {second:?}: compare runs of one each"
    );
    Ok(several)
}
