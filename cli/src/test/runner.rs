//! The program that runs tests.

use super::{Args, Scope};
use crate::cargo;
use anyhow::{Context, Result};
use std::io;
use std::process::Command;
use xshell::Shell;

/// A test runner of cargo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    /// `cargo nextest run`
    Nextest,
    /// `cargo test`
    Libtest,
}

impl Runner {
    /// The better one that is there.
    pub(super) fn installed() -> Self {
        if cargo::has_nextest() { Self::Nextest } else { Self::Libtest }
    }

    /// Cargo's arguments. Every test is run, whatever the others do.
    pub(super) fn arguments(self, args: &Args, scope: &Scope) -> Vec<String> {
        let verb: &[&str] = match self {
            Self::Nextest => &["nextest", "run"],
            Self::Libtest => &["test"],
        };
        let mut all: Vec<String> = verb.iter().copied().chain(["--no-fail-fast"]).map(str::to_owned).collect();
        if args.console && self == Self::Nextest {
            // It would keep what a test says until the test has ended. Libtest keeps only what the test's own macros print.
            all.push("--no-capture".to_owned());
        }
        all.extend(scope.cargo.iter().chain(&args.name).chain(&args.runner).cloned());
        all
    }

    /// Runs it on this terminal, with standard output kept clear if that is for something else; whether it said that all
    /// is well.
    ///
    /// # Errors
    /// When it could not be started.
    pub(super) fn run(self, shell: &Shell, arguments: &[String], output_is_taken: bool) -> Result<bool> {
        let command = cargo::command(shell, arguments);
        eprintln!("$ {command}");
        let mut command = Command::from(command);
        if output_is_taken {
            command.stdout(io::stderr());
        }
        let status = command.status().context("cannot run cargo")?;
        Ok(status.success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: Runner, expected: &str) {
        let scope = Scope { cargo: vec!["--test".into(), "steady".into()], expected: Vec::new() };
        let args = Args { name: Some("two".into()), runner: vec!["--".into(), "-x".into()], ..Args::default() };
        assert_eq!(runner.arguments(&args, &scope).join(" "), expected);
    }

    #[test]
    fn both_take_the_same_choice_of_tests() {
        check(Runner::Nextest, "nextest run --no-fail-fast --test steady two -- -x");
        check(Runner::Libtest, "test --no-fail-fast --test steady two -- -x");
    }

    #[test]
    fn the_console_gets_through() {
        let args = Args { console: true, ..Args::default() };
        let arguments = |runner: Runner| runner.arguments(&args, &Scope::default()).join(" ");
        assert_eq!(arguments(Runner::Nextest), "nextest run --no-fail-fast --no-capture");
        assert_eq!(arguments(Runner::Libtest), "test --no-fail-fast");
    }
}
