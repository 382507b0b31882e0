//! The same tests three ways: on machines that boot, on such that go on from where others were, and on such that are watched
//! meanwhile. Under emulation their records are the same.

use super::{cargo, run_plainly, xtask};
use anyhow::{Context, Result};
use ktstr_cli::cargo::has_nextest;
use ktstr_kernels::Kernel;
use xshell::Shell;

/// The programs of tests whose machines show most in the time: every scenario on three machines, and odd topologies.
const PROGRAMS: [&str; 4] = ["steady", "topology", "nodes", "scenarios"];

/// The ways: a name, and what makes it one.
const WAYS: [(&str, [(&str, &str); 2]); 3] = [
    ("booted", [("KTSTR_SNAPSHOT", "off"), ("KTSTR_TRACE", "0")]),
    ("forked", [("KTSTR_SNAPSHOT", "on"), ("KTSTR_TRACE", "0")]),
    ("watched", [("KTSTR_SNAPSHOT", "on"), ("KTSTR_TRACE", "1")]),
];

/// Runs them, and compares the records; with `all` those of all tests.
pub(super) fn three(shell: &Shell, kernel: Option<&Kernel>, all: bool) -> Result<()> {
    let kernel = kernel.context("there is no kernel to run them on")?;
    let ids = WAYS.map(|(way, _)| format!("ci-{way}-{}", std::process::id()));
    for ((_, settings), id) in WAYS.iter().zip(&ids) {
        let mut words = if has_nextest() { "nextest run --no-fail-fast" } else { "test --no-fail-fast" }.to_owned();
        words.push_str(" --package ktstr");
        if !all {
            words.extend(PROGRAMS.map(|program| format!(" --test {program}")));
        }
        let command = cargo(shell, &words).env("KTSTR_ACCEL", "tcg").env("KTSTR_RUN_ID", id);
        let command = command.env("KTSTR_KERNEL", format!("path:{}", kernel.dir.display()));
        run_plainly(settings.iter().fold(command, |command, (name, value)| command.env(name, value)))?;
    }
    let [booted, others @ ..] = &ids;
    others.iter().try_for_each(|other| run_plainly(xtask(shell, &["compare", "--same", booted, other])?))
}
