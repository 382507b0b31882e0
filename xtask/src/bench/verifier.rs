//! Folding a verifier's log: whether the time for a MiB stays the same as the log grows, and how much memory it takes.

use super::row::{Budget, Row};
use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Measures.
///
/// # Errors
/// When the program cannot be built or does not run.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    let shell = Shell::new()?;
    let rounds = rounds.to_string();
    let program = ["--quiet", "--package", "ktstr-verifier", "--example", "fold_speed"];
    let text = cmd!(shell, "cargo run --profile release {program...} -- {rounds}").quiet().read()?;
    let figures = text.lines().map(figures).collect::<Result<Vec<_>>>()?;
    let column = |index: usize| figures.iter().map(|round| round[index]).collect::<Vec<_>>();
    let row = |what, long, short| {
        let row = Row::new(format!("verifier: folding 100 MB {what}"), "µs/MiB", &column(long));
        row.against("10 MB", &column(short)).within(Budget::Ratio(1.25))
    };
    let peak: Vec<_> = column(4).iter().map(|kib| kib / 1024.0).collect();
    let memory = Row::new("verifier: most memory for that", "MiB", &peak).within(Budget::Value(64.0));
    Ok(vec![row("of nested loops", 1, 0), row("without loops", 3, 2), memory])
}

/// Five numbers.
fn figures(line: &str) -> Result<[f64; 5]> {
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<_>, _>>();
    let numbers = numbers.ok().and_then(|numbers| numbers.try_into().ok());
    numbers.with_context(|| format!("{line:?} are no five figures"))
}
