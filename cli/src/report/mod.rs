//! `report`: one run as a single HTML file that needs neither a server nor anything else from anywhere.
//!
//! What a test's part shows is made here and lies in the page as text; the page's script makes elements of it when a
//! person opens that part, so that a page of a thousand tests is there at once. Everything that a guest or a record says
//! is escaped by the templates, and the page's own policy lets no script run but the one whose hash it names.

mod details;
mod histogram;
mod lanes;
mod matrix;
mod page;
mod repro;
mod schedulers;
mod timeline;
mod workers;

use crate::runs::{self, Run};
use crate::units;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a run as one HTML file: verdicts by test and machine, and for each test what ran where
///
/// Prints the file's path.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run, by its id or its directory; the newest when not given
    run: Option<String>,
    /// Where to write the file; `report.html` in the run's directory when not given
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the report.
///
/// # Errors
/// When there is no such run, or the file cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    let dir = runs::find(args.run.as_deref())?;
    let run = Run::read(&dir)?;
    ensure!(!(run.whole.is_empty() && run.damaged.is_empty()), "there are no records in {}", dir.display());
    let text = page::render(&run);
    let path = args.output.clone().unwrap_or_else(|| dir.join("report.html"));
    fs::write(&path, &text).with_context(|| format!("cannot write the report {}", path.display()))?;
    let (records, damaged) = (run.whole.len(), run.damaged.len());
    let damaged = if damaged == 0 { String::new() } else { format!(", {damaged} that cannot be read") };
    eprintln!("{records} records{damaged}; {}", units::bytes(text.len() as u64));
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
