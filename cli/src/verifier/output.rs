//! What is printed of runs, and what is written to files.

use super::Args;
use super::loads::Report;
use anyhow::{Result, anyhow};
use ktstr_verifier::compare::{comparison_csv, comparison_table, pair, programs_csv, programs_table};
use ktstr_verifier::{Program, Rejection};
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Below the directory that the verb is run in, as cargo's own files are.
const RAW_DIR: &str = "target/ktstr/verifier";

/// Prints all runs, as asked.
pub(super) fn print(reports: &[Report], args: &Args) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(reports)?);
    } else if args.csv {
        print!("{}", csv(reports));
    } else {
        print!("{}", text(reports));
    }
    Ok(())
}

/// One table for one run; for more, each side by side with the first.
fn csv(reports: &[Report]) -> String {
    match reports {
        [only] => programs_csv(&only.programs),
        [first, others @ ..] => others
            .iter()
            .map(|other| comparison_csv(&pair(&first.programs, &other.programs)))
            .collect::<Vec<_>>()
            .join("\n"),
        [] => String::new(),
    }
}

fn text(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        let _ = writeln!(text, "{}\n{}", report.run, programs_table(&report.programs));
        for (program, log) in report.programs.iter().zip(&report.logs) {
            if let Some(rejection) = &program.rejection {
                text.push_str(&refusal(program, rejection, log));
            }
        }
        report.notes.iter().for_each(|note| text += &format!("{note}\n"));
        report.unknown.iter().for_each(|why| text += &format!("could not tell: {why}\n"));
    }
    if let [first, others @ ..] = reports {
        for other in others {
            let table = comparison_table(&pair(&first.programs, &other.programs));
            let _ = write!(text, "\n{} → {}\n{table}", first.run, other.run);
        }
    }
    text
}

/// The path that failed, what was known at its end, and why.
fn refusal(program: &Program, rejection: &Rejection, log: &[u8]) -> String {
    let mut text = format!("{} was refused\n", program.name);
    if !rejection.is_whole {
        text.push_str("  … the log lacks the path's beginning\n");
    }
    rejection.path_text(log).lines().for_each(|line| text += &format!("  {line}\n"));
    if let Some(source) = &rejection.source {
        let file = source.file.as_deref().unwrap_or("?");
        let _ = writeln!(text, "at {file}:{}: {}", source.line.unwrap_or_default(), source.text);
    }
    if let Some(insn) = &rejection.insn {
        let _ = writeln!(text, "at instruction {}: {}", insn.index, insn.text);
    }
    rejection.state.iter().for_each(|(name, value)| text += &format!("  {name} = {value}\n"));
    rejection.message.iter().for_each(|line| text += &format!("kernel: {line}\n"));
    let _ = writeln!(text, "{}", rejection.reason());
    rejection.advice().iter().for_each(|advice| text += &format!("{advice}\n"));
    text + "\n"
}

/// Writes each program's log as it came; tells where on standard error.
pub(super) fn write_raw(reports: &[Report]) -> Result<()> {
    let plain = |text: &str| text.replace(|c: char| !c.is_ascii_alphanumeric() && !"-_+.".contains(c), "_");
    let of_this_run = PathBuf::from(RAW_DIR).join(format!("run-{}", std::process::id()));
    for report in reports {
        let dir = of_this_run.join(plain(&report.run));
        let cannot = |doing: &str, path: &Path, error: io::Error| {
            anyhow!("cannot {doing} {}: {error}; run this where files can be written, or without --raw", path.display())
        };
        fs::create_dir_all(&dir).map_err(|error| cannot("make the directory", &dir, error))?;
        for (number, (program, log)) in report.programs.iter().zip(&report.logs).enumerate() {
            let path = dir.join(format!("{number:02}-{}.log", plain(&program.name)));
            fs::write(&path, log).map_err(|error| cannot("write the log", &path, error))?;
        }
        eprintln!("verifier: {} logs in {}", report.logs.len(), dir.display());
    }
    Ok(())
}
