//! `fuzz`: libFuzzer on the parsers of foreign bytes, with the stable compiler.

mod outcome;

use anyhow::{Context, Result, bail, ensure};
use ktstr_cli::cargo;
use ktstr_cli::setup::{self, Group};
use ktstr_fuzz::{TARGETS, Target, find};
use outcome::Outcome;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use xshell::Shell;

/// What `cargo fuzz` would tell the compiler, less the sanitizer, which only a nightly one has.
const FLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

/// Naming it keeps the flags from build scripts and macros.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// One input may take no longer, in seconds, and no more memory, in MiB.
const TIMEOUT_S: u32 = 10;
const MEMORY_MIB: u32 = 2048;

/// Fuzz the parsers of bytes that others wrote: guests, files, packages, people
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to fuzz; everything by default
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Run one target once, on this file
    #[arg(long)]
    input: Option<PathBuf>,
    /// Only list the targets
    #[arg(long)]
    list: bool,
}

/// Fuzzes. What is found is a failing exit code, and a file below `target/fuzz/findings`.
///
/// # Errors
/// When a target is unknown or cannot be built or run.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let named =
        args.targets.iter().map(|name| find(name).with_context(|| format!("{name} is no fuzz target: see --list")));
    let mut targets: Vec<&Target> = named.collect::<Result<_>>()?;
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    if args.list {
        targets.iter().for_each(|target| println!("{}", target.name));
        return Ok(ExitCode::SUCCESS);
    }
    setup::ensure(&[Group::Fuzz])?;
    let bed = Bed::build(&Shell::new()?)?;
    if let Some(input) = &args.input {
        let [target] = targets[..] else { bail!("--input needs the one target that is to take it") };
        let status = bed.command(target).arg(input).status().context("cannot start the fuzzer")?;
        return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut clean = true;
    for target in targets {
        let outcome = bed.fuzz(target, args.seconds)?;
        println!("{:<16} {outcome}", target.name);
        clean &= outcome.is_clean();
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The fuzzer, and where it leaves what it makes.
struct Bed {
    fuzzer: PathBuf,
    dir: PathBuf,
}

impl Bed {
    /// Builds the fuzzer with every target in it.
    fn build(shell: &Shell) -> Result<Self> {
        let dir = cargo::target_dir(shell)?.join("fuzz");
        let build = dir.join("build");
        let words = ["build", "--package=ktstr-fuzz", "--features=libfuzzer", "--profile=fuzz", "--quiet", "--target"];
        let words: Vec<String> = words.iter().copied().chain([TRIPLE]).map(str::to_owned).collect();
        let command = cargo::command(shell, &words).arg("--target-dir").arg(&build);
        command.env("RUSTFLAGS", FLAGS.join(" ")).quiet().run().context("the fuzz targets do not compile")?;
        Ok(Self { fuzzer: build.join(TRIPLE).join("fuzz/ktstr-fuzz"), dir })
    }

    fn command(&self, target: &Target) -> Command {
        let mut command = Command::new(&self.fuzzer);
        command.env("KTSTR_FUZZ_TARGET", target.name).env("RUST_BACKTRACE", "1");
        command.args([format!("-timeout={TIMEOUT_S}"), format!("-rss_limit_mb={MEMORY_MIB}")]);
        command
    }

    /// Fuzzes from the seeds and what earlier runs have kept.
    fn fuzz(&self, target: &Target, seconds: u32) -> Result<Outcome> {
        let corpus = self.dir.join("corpus").join(target.name);
        let findings = self.dir.join("findings");
        for dir in [&corpus, &findings] {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let path = corpus.join(format!("seed-{number}"));
            fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let log = self.dir.join(format!("{}.log", target.name));
        let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = self.command(target);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/{}-", findings.display(), target.name));
        let status = command.arg(&corpus).stderr(file).status().context("cannot start the fuzzer")?;
        let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        let outcome = Outcome::read(&String::from_utf8_lossy(&text), status.success());
        ensure!(outcome.has_run(), "{} did not get to run: see {}", target.name, log.display());
        Ok(outcome)
    }
}
