//! `selftests`: the kernel's own selftests of sched_ext, in a machine like those that tests run in.

mod parse;
mod run;
mod table;
mod verdict;

use crate::kernel;
use crate::setup;
use crate::shell::machine::{self, Shape};
use anyhow::{Context, Result, ensure};
use ktstr::{Accel, Finding, Settings, Topology};
use ktstr_cache::Cache;
use ktstr_kernels::{Kernel, SchedExtPart, SchedExtPrograms, Spec};
use parse::Parsed;
use run::Seen;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use verdict::Verdict;

/// Exit code when it could not be told whether the tests pass.
const NO_ANSWER: u8 = 2;

/// Build the kernel's own sched_ext selftests from the distribution's source, and run them in a virtual machine
///
/// The exit code is 0 when tests passed and none failed, 1 when one failed or the kernel complained, and 2 when that could not
/// be told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only tests with this in their names
    filter: Option<String>,
    /// The kernel: latest (default), X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
    #[arg(long, value_name = "SPEC")]
    kernel: Option<Spec>,
    /// CPUs: NUMA nodes, LLCs, cores per LLC, threads per core
    #[arg(long, value_name = "N,L,C,T", default_value = "1,2,2,1")]
    topology: Topology,
    /// What runs the machine: auto (default), kvm or tcg
    #[arg(long)]
    accel: Option<Accel>,
    /// How long the tests may take in all, such as 10m
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Print JSON instead of a table: what each test printed, too
    #[arg(long)]
    json: bool,
}

/// Builds, runs and prints.
pub fn run(args: &Args) -> ExitCode {
    ExitCode::from(answer(args).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        NO_ANSWER
    }))
}

fn answer(args: &Args) -> Result<u8> {
    let settings = Settings::from_env()?;
    let cache = Cache::open_default()?;
    let accel = args.accel.unwrap_or(settings.accel);
    setup::for_accelerator(accel)?;
    let spec = args.kernel.clone().map_or_else(|| settings.kernel.parse().context("KTSTR_KERNEL"), Ok)?;
    let kernel = kernel::resolve(&spec)?;
    let built = built_for(&kernel)?;
    let payload = run::payload(&built.programs[0], &kernel, &cache)?;
    let shape = Shape { topology: args.topology, memory_bytes: None, accel };
    let (config, why) = machine::configure(shape, &kernel, &payload, &cache, &settings)?;
    eprintln!("Linux {} on {} CPUs; {why}", kernel.meta.release, args.topology.cpus());
    let seen = run::run(&config, &payload, args.filter.as_deref(), args.timeout)?;
    let parsed = parse::parse(&seen.lines);
    let findings = ktstr::findings_on(&seen.console);
    let verdict = verdict::judge(&parsed, &seen.end, &findings);
    match args.json {
        true => println!("{:#}", as_json(&kernel, &built, &why, &parsed, &verdict, &findings)),
        false => print(&parsed, &verdict, &findings, &seen),
    }
    Ok(match verdict {
        Verdict::Pass => 0,
        Verdict::Fail(_) => 1,
        Verdict::Inconclusive(_) => NO_ANSWER,
    })
}

/// The runner, of the kernel's own series: another one's tests say nothing about it.
fn built_for(kernel: &Kernel) -> Result<SchedExtPrograms> {
    let built = kernel::sched_ext(kernel, SchedExtPart::Selftests)?;
    let series = |version: ktstr_kernels::Version| (version.major, version.minor);
    ensure!(
        built.source_version.map(series) == kernel.meta.kernel_version().map(series),
        "the archive has no source of Linux {}, and the selftests of {} are not for it: choose another kernel",
        kernel.meta.release,
        built.origin
    );
    ensure!(!built.programs.is_empty(), "the build of {} has left no runner", built.origin);
    Ok(built)
}

fn print(parsed: &Parsed, verdict: &Verdict, findings: &[Finding], seen: &Seen) {
    print!("{}", table::render(&parsed.cases));
    for finding in findings {
        println!("{}", finding.measured);
        finding.evidence.iter().for_each(|line| println!("    console: {line}"));
    }
    let totals = parsed.totals.unwrap_or_default();
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail(reasons) => println!("Fail: {}", reasons.join("; ")),
        Verdict::Inconclusive(reasons) => {
            println!("Inconclusive: {}", reasons.join("; "));
            let last = seen.lines.iter().rev().take(10).rev();
            last.for_each(|(_, line)| println!("    output: {line}"));
            ktstr::last_lines(&seen.console, 20).iter().for_each(|line| println!("    console: {line}"));
        }
    }
}

fn as_json(
    kernel: &Kernel,
    built: &SchedExtPrograms,
    accel: &str,
    parsed: &Parsed,
    verdict: &Verdict,
    findings: &[Finding],
) -> serde_json::Value {
    let (word, reasons) = match verdict {
        Verdict::Pass => ("pass", &[][..]),
        Verdict::Fail(reasons) => ("fail", &reasons[..]),
        Verdict::Inconclusive(reasons) => ("inconclusive", &reasons[..]),
    };
    json!({
        "kernel": kernel.id,
        "release": kernel.meta.release,
        "built_from": built.origin,
        "accelerator": accel,
        "verdict": word,
        "reasons": reasons,
        "totals": parsed.totals,
        "tests": parsed.cases,
        "kernel_findings": findings,
    })
}
