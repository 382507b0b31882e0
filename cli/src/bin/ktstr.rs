//! `ktstr VERB`: machines for a person.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Use the virtual machines that tests of Linux process schedulers run in
#[derive(Debug, Parser)]
#[command(name = "ktstr", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Shell(ktstr_cli::shell::Args),
}

fn main() -> ExitCode {
    match Cli::parse().verb {
        Verb::Shell(args) => ktstr_cli::shell::run(&args),
    }
}
