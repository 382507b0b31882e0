//! `cargo xtask VERB`: the project's own chores.

mod kvm_lab;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    KvmLab(kvm_lab::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::KvmLab(args) => kvm_lab::run(&args),
    };
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
