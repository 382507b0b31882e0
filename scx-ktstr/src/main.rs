//! A minimal sched_ext scheduler with switches that make it misbehave.
//!
//! README.md has the arguments, the switches and what the kernel says of each.

mod args;
mod exit;
mod faults;
mod load;
mod scheduler;
#[allow(
    missing_docs,
    unreachable_pub,
    unused_imports,
    clippy::all,
    clippy::expect_used,
    clippy::panic,
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used
)]
mod skel {
    include!(concat!(env!("OUT_DIR"), "/ktstr.skel.rs"));
}
mod topology;

use args::{Args, Command};
use std::process::ExitCode;

/// The command line cannot be understood.
const BAD_USAGE: u8 = 2;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(args)) => args,
        Ok(Command::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("scx-ktstr: {error}; see scx-ktstr --help");
            return ExitCode::from(BAD_USAGE);
        }
    };
    match scheduler::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scx-ktstr: {error:#}");
            ExitCode::FAILURE
        }
    }
}
