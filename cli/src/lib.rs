//! The verbs that `ktstr` and `cargo ktstr` offer to every crate and that `cargo xtask` shares, one module each.
//!
//! A verb is an `Args` for clap and a `run`. What a verb needs of the machine it asks [`setup`] for, and for just that,
//! before it starts.

pub mod binaries;
pub mod cargo;
pub mod compare;
mod gauntlet;
mod jobs;
mod junit;
pub mod kernel;
mod ktap;
mod progress;
pub mod report;
mod runs;
pub mod selftests;
pub mod setup;
pub mod shell;
pub mod test;
pub mod trace;
mod units;
pub mod verifier;

use std::process::ExitCode;

/// What a program of these verbs ends with; says why when a verb could not be done.
pub fn exit_code(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
