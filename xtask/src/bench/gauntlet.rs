//! A gauntlet of a hundred variants, on machines that boot and on such that go on from where others were.

use super::process;
use super::row::{Budget, Row};
use anyhow::{Context, Result, ensure};
use ktstr_cli::setup::{self, Group};
use std::process::{Command, Output};

/// Four tests have this in their names; their variants are on all presets.
const TESTS: &str = "steady";

/// The fewest variants that are a gauntlet.
const VARIANTS: usize = 100;

/// The budget: a third of the time.
const THIRD: Budget = Budget::Ratio(0.333);

/// Measures once: it takes half an hour.
///
/// # Errors
/// When the variants could not be run, or are too few.
pub(super) fn measure() -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    // What is kept then is there for the second one.
    run("on")?;
    let (forked_s, variants) = run("on")?;
    let (booted_s, _) = run("off")?;
    let row = Row::new(format!("tcg: gauntlet of {variants} variants, forked"), "s", &[forked_s]);
    Ok(vec![row.against("booted", &[booted_s]).within(THIRD)])
}

/// Runs it with this setting of `KTSTR_SNAPSHOT`; how long it took, and of how many variants it was. What its verdicts were is
/// another matter, and told.
fn run(snapshot: &str) -> Result<(f64, usize)> {
    let mut command = Command::new("cargo");
    command.args(["xtask", "test", TESTS, "--gauntlet", "--accel", "tcg"]).env("KTSTR_SNAPSHOT", snapshot);
    let (measured, output) = process::measure_any(&mut command)?;
    let variants =
        variants(&output).with_context(|| format!("{command:?} ran nothing:\n{}", process::tail(&output)))?;
    ensure!(variants >= VARIANTS, "these are {variants} variants, not {VARIANTS}");
    if !output.status.success() {
        eprintln!("bench: not every variant passed with KTSTR_SNAPSHOT={snapshot}:\n{}", process::tail(&output));
    }
    Ok((measured.wall_s, variants))
}

/// As the gauntlet says it on standard error: `gauntlet: 116 of 116 variants`.
fn variants(output: &Output) -> Option<usize> {
    let text = String::from_utf8_lossy(&output.stderr);
    let (_, rest) = text.split_once("gauntlet: ")?;
    rest.split_whitespace().next()?.parse().ok()
}
