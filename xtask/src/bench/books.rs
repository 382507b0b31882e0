//! What a worker's books cost it, against the same work without, in the CPU time of a unit.

use super::row::{Budget, Row};
use anyhow::{Context, Result};
use xshell::{Shell, cmd};

/// Measures.
///
/// # Errors
/// When the workers cannot be built or do not run.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    // These rounds take a fifth of a second; more of them cost nothing.
    let rounds = (rounds * 10).to_string();
    let shell = Shell::new()?;
    [("dev", "as tests are built"), ("release", "optimised")]
        .map(|(profile, what)| {
            let program = ["--quiet", "--package", "ktstr-workload", "--example", "books"];
            let text = cmd!(shell, "cargo run --profile {profile} {program...} -- {rounds}").quiet().read()?;
            let pairs = text.lines().map(pair).collect::<Result<Vec<_>>>()?;
            let (ours, alone): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let row = Row::new(format!("books: a unit of work of a worker, {what}"), "ns", &ours);
            Ok(row.against("without books", &alone).within(Budget::Ratio(1.01)))
        })
        .into_iter()
        .collect()
}

fn pair(line: &str) -> Result<(f64, f64)> {
    let (ours, alone) = line.split_once(' ').with_context(|| format!("{line:?} are no two figures"))?;
    Ok((ours.parse()?, alone.parse()?))
}
