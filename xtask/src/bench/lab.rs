//! Measurements that need a genuine /dev/kvm: this program measures in the lab and hands its rows out.

use super::row::Row;
use super::steady::Bed;
use anyhow::{Context, Result, ensure};
use ktstr_cli::setup::{self, Group};
use std::process::{Command, Stdio};

/// Several times what it takes on two busy cores.
const LIMIT: &str = "60m";

/// A guest of 252 CPUs fits in.
const MEMORY: &str = "6G";

/// Runs the measurement `name` in the lab, with the tests of `program`.
///
/// # Errors
/// When the lab, or the measurement in it, fails.
pub(super) fn measure(name: &str, program: &str, rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator, Group::Lab])?;
    let bed = Bed::prepare(program)?;
    let own = std::env::current_exe().context("cannot tell which program this is")?;
    let mut command = Command::new(&own);
    command.args(["kvm-lab", "--memory", MEMORY, "--timeout", LIMIT, "--"]).arg(&own);
    command.args(["bench", name, "--rounds", &rounds.to_string(), "--inside"]).arg(&bed.program);
    command.env("KTSTR_KERNEL", bed.kernel_spec()).stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", own.display()))?;
    ensure!(output.status.success(), "the lab ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("cannot understand the rows from the lab")
}
