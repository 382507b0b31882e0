//! `trace`: a record as a Perfetto trace.
//!
//! Times are those of the guest's `CLOCK_MONOTONIC`. What ran is what the kernel's scheduler did, where that was kept, and
//! else what workers told of themselves.

mod build;
mod proto;
mod schedule;
mod slices;
mod tracks;

use crate::runs::{Run, read_record};
use crate::units;
use anyhow::{Context, Result, ensure};
use ktstr::Record;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Make a Perfetto trace of a record: what ran on each CPU and in each cgroup, what was done, and gaps
///
/// Open it at ui.perfetto.dev, which reads it without sending it anywhere. Prints the file's path.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The record, a JSON file in a run's directory
    record: PathBuf,
    /// Where to write the trace; beside the record when not given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the trace.
///
/// # Errors
/// When the record cannot be read or the trace cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    let record = read_record(&args.record)?;
    let path = args.output.clone().unwrap_or_else(|| args.record.with_extension("pftrace"));
    write(&record, dir_of(&args.record), &path)?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the traces of a run: into `path` if there is one, else into files beside it that are named after their records.
///
/// # Errors
/// When there is no record, or a trace cannot be written.
pub(crate) fn write_run(run: &Run, path: &Path) -> Result<()> {
    ensure!(!run.whole.is_empty(), "there is no record to make a trace of");
    let single = run.whole.len() == 1;
    for record in run.records() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!("{stem}-{}.pftrace", record.file_stem()));
        write(record, &run.dir, if single { path } else { &beside })?;
    }
    Ok(())
}

fn dir_of(record: &Path) -> &Path {
    record.parent().unwrap_or(Path::new(""))
}

/// Writes the trace of a record from this directory.
fn write(record: &Record, dir: &Path, path: &Path) -> Result<()> {
    let schedule = schedule::read(record, dir)?;
    let bytes = tracks::of(record, schedule.as_ref());
    if let Some(why) = record.host.schedule.as_ref().and_then(|part| part.without.as_ref()) {
        eprintln!("trace of {}: what ran is what workers told of themselves: {why}", record.title());
    }
    fs::write(path, &bytes).with_context(|| format!("cannot write the trace {}", path.display()))?;
    eprintln!("trace of {}: {}, {}", record.title(), path.display(), units::bytes(bytes.len() as u64));
    Ok(())
}

#[cfg(test)]
mod tests;
