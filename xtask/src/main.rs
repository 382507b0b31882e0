//! `cargo xtask VERB`: the project's own chores.

mod bench;
mod ci;
mod fuzz;
mod kvm_lab;
mod sources;
mod test;
mod tidy;

use anyhow::Result;
use clap::{Parser, Subcommand};
use ktstr_cli::setup::{self, Group};
use ktstr_cli::{compare, kernel, report, selftests, shell, test as tests, trace, verifier};
use std::process::ExitCode;

/// The project's own chores
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Setup(setup::Args),
    Test(tests::Args),
    Ci(ci::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Kernel(kernel::Args),
    Report(report::Args),
    Compare(compare::Args),
    Trace(trace::Args),
    Shell(shell::Args),
    Selftests(selftests::Args),
    Verifier(verifier::Args),
    KvmLab(kvm_lab::Args),
    Tidy(tidy::Args),
}

fn main() -> ExitCode {
    ktstr_cli::exit_code(run(&Cli::parse().verb))
}

fn run(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Setup(args) => setup::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Ci(args) => ci::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::Fuzz(args) => fuzz::run(args),
        Verb::Kernel(args) => kernel::run(args),
        Verb::Report(args) => report::run(args),
        Verb::Compare(args) => Ok(compare::run(args)),
        Verb::Trace(args) => trace::run(args),
        Verb::Shell(args) => Ok(shell::run(args)),
        Verb::Selftests(args) => Ok(selftests::run(args)),
        Verb::Verifier(args) => Ok(verifier::run(args)),
        Verb::KvmLab(args) => {
            setup::ensure(&[Group::Lab])?;
            let code = kvm_lab::run(args)?;
            Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
        }
        Verb::Tidy(args) => tidy::run(args),
    }
}
