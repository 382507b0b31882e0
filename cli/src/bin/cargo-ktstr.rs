//! `cargo ktstr VERB`: scheduler tests in any crate.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Run tests of Linux process schedulers, and look after the kernels that they run on
#[derive(Debug, Parser)]
#[command(name = "cargo ktstr", bin_name = "cargo ktstr", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Setup(ktstr_cli::setup::Args),
    Test(ktstr_cli::test::Args),
    Kernel(ktstr_cli::kernel::Args),
    Report(ktstr_cli::report::Args),
    Compare(ktstr_cli::compare::Args),
    Trace(ktstr_cli::trace::Args),
    Shell(ktstr_cli::shell::Args),
    Selftests(ktstr_cli::selftests::Args),
    Verifier(ktstr_cli::verifier::Args),
}

fn main() -> ExitCode {
    // Cargo starts `cargo-ktstr ktstr VERB` for `cargo ktstr VERB`.
    let from_cargo = std::env::args_os().nth(1).is_some_and(|word| word == "ktstr");
    let words = std::env::args_os().enumerate().filter(|(number, _)| !(from_cargo && *number == 1));
    let result = match Cli::parse_from(words.map(|(_, word)| word)).verb {
        Verb::Setup(args) => ktstr_cli::setup::run(&args),
        Verb::Test(args) => ktstr_cli::test::run(&args, &ktstr_cli::test::Scope::default()),
        Verb::Kernel(args) => ktstr_cli::kernel::run(&args),
        Verb::Report(args) => ktstr_cli::report::run(&args),
        Verb::Compare(args) => Ok(ktstr_cli::compare::run(&args)),
        Verb::Trace(args) => ktstr_cli::trace::run(&args),
        Verb::Shell(args) => Ok(ktstr_cli::shell::run(&args)),
        Verb::Selftests(args) => Ok(ktstr_cli::selftests::run(&args)),
        Verb::Verifier(args) => Ok(ktstr_cli::verifier::run(&args)),
    };
    ktstr_cli::exit_code(result)
}
