//! `ktstr VERB`: machines for a person, and what tests in such machines left.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Use the virtual machines that tests of Linux process schedulers run in, and look at what such tests left
#[derive(Debug, Parser)]
#[command(name = "ktstr", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Report(ktstr_cli::report::Args),
    Compare(ktstr_cli::compare::Args),
    Trace(ktstr_cli::trace::Args),
    Shell(ktstr_cli::shell::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::Report(args) => ktstr_cli::report::run(&args),
        Verb::Compare(args) => Ok(ktstr_cli::compare::run(&args)),
        Verb::Trace(args) => ktstr_cli::trace::run(&args),
        Verb::Shell(args) => Ok(ktstr_cli::shell::run(&args)),
    };
    ktstr_cli::exit_code(result)
}
