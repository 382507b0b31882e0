//! `bench`: what speed and size the project has, as ratios to references measured in the same run.
//!
//! Ours and the reference take turns, so that a busy host burdens both alike. Nothing here passes or fails: a budget that
//! is exceeded is shown as `over`, and the exit code tells only whether everything could be measured.

mod author;
mod bare;
mod books;
mod cpu_by_crate;
mod forks;
mod gauntlet;
mod guest;
mod hello;
mod inside;
mod kvm;
mod lab;
mod pack;
mod process;
mod ring;
mod row;
mod rss;
mod steady;
mod stops;
mod tcg;
mod trace;
mod verifier;

use anyhow::Result;
use clap::ValueEnum;
use row::Row;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measure the project's speed and size against references, in one run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to measure; everything by default
    names: Vec<Name>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// How often each side of a comparison takes its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure here, in the lab, with this test program, and print rows for the outer run
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// The loop of a test's author: clean build, edit to verdict, size of the program
    Author,
    /// Packing the payload when nothing has changed
    Pack,
    /// What measuring costs a worker
    Books,
    /// The ring against memcpy and against COM2
    Ring,
    /// Folding the logs of the BPF verifier
    Verifier,
    /// Stop points under software emulation
    Stops,
    /// A test under software emulation
    Tcg,
    /// From a machine's making to its guest's first process, and to hello, for up to 252 CPUs, under software emulation
    Hello,
    /// The same for up to 64 CPUs on KVM in the lab
    HelloKvm,
    /// Going on from where another machine said hello, for up to 252 CPUs, under software emulation
    Forks,
    /// The same on KVM in the lab
    ForksKvm,
    /// A gauntlet on machines that boot, and on such that go on from where others were, under software emulation
    Gauntlet,
    /// A test, and our monitor, on KVM in the lab
    Kvm,
    /// Memory of our monitor on KVM in the lab
    Rss,
    /// Memory of our process and QEMU's under software emulation
    RssTcg,
}

/// Measures.
///
/// # Errors
/// When the outcome could not be printed. What could not be measured is said and is a failing exit code.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let names = if args.names.is_empty() { Name::value_variants() } else { &args.names };
    let mut rows = Vec::new();
    let mut whole = true;
    for &name in names {
        let measured = match &args.inside {
            Some(program) => inside::measure(name, program, args.rounds),
            None => measure(name, args.rounds),
        };
        match measured {
            Ok(measured) if args.json || args.inside.is_some() => rows.extend(measured),
            Ok(measured) => print!("{}", row::render(&measured)),
            Err(error) => {
                eprintln!("bench: {}: {error:#}", label(name));
                whole = false;
            }
        }
    }
    if args.inside.is_some() {
        println!("{}", serde_json::to_string(&rows)?);
    } else if args.json {
        println!("{}", serde_json::to_string_pretty(&row::with_results(&rows)?)?);
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(name: Name, rounds: u32) -> Result<Vec<Row>> {
    eprintln!("bench: measuring {}", label(name));
    match name {
        Name::Author => author::measure(rounds),
        Name::Pack => pack::measure(rounds),
        Name::Books => books::measure(rounds),
        Name::Ring => ring::measure(rounds),
        Name::Verifier => verifier::measure(rounds),
        Name::Stops => stops::measure(rounds),
        Name::Tcg => tcg::measure(rounds),
        Name::RssTcg => rss::tcg(),
        Name::Hello => hello::tcg(rounds),
        Name::Forks => forks::tcg(rounds),
        Name::Gauntlet => gauntlet::measure(),
        Name::HelloKvm | Name::ForksKvm => lab::measure(&label(name), hello::PROGRAM, rounds),
        Name::Kvm | Name::Rss => lab::measure(&label(name), steady::PROGRAM, rounds),
    }
}

/// The name on the command line.
fn label(name: Name) -> String {
    name.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
