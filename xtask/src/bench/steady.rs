//! The project's own two-cgroup tests, run one at a time with everything they need at hand.

use super::process::{self, Measured};
use anyhow::{Context, Result, ensure};
use ktstr::{Record, runs_dir};
use ktstr_cli::{cargo, kernel};
use ktstr_kernels::{Kernel, Spec};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use xshell::Shell;

/// The test program.
pub(super) const PROGRAM: &str = "steady";
/// The test that runs the scenario `steady` for [`SCENARIO_S`].
pub(super) const STEADY: &str = "steady";
/// The test with two declared cgroups.
pub(super) const TWO_CGROUPS: &str = "declared_cgroups";
/// The measurement of both ways from guest to host.
pub(super) const CHANNELS: &str = "channels";
/// Patience with a guest that other work on this machine slows down, which is a figure here and no failure.
const BOOT_TIMEOUT_S: &str = "600";

/// How long both want their workers to run.
pub(super) const SCENARIO_S: f64 = 2.0;

/// How a test's machine comes to its hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Boots {
    /// It boots.
    Cold,
    /// It goes on from where one like it was; the first one of all boots.
    Forked,
}

/// The test program and the kernel.
pub(super) struct Bed {
    /// The built test program.
    pub(super) program: PathBuf,
    /// The kernel under test.
    pub(super) kernel: Kernel,
}

impl Bed {
    /// Builds the test program of that name and gets the kernel of `KTSTR_KERNEL`.
    ///
    /// # Errors
    /// When one of them cannot be had.
    pub(super) fn prepare(program: &str) -> Result<Self> {
        Self::with_program(build(program)?)
    }

    /// As [`Self::prepare`], with a program that was built before.
    ///
    /// # Errors
    /// When the kernel cannot be had.
    pub(super) fn with_program(program: PathBuf) -> Result<Self> {
        Ok(Self { program, kernel: default_kernel()? })
    }

    /// The spec by which tests find the kernel again.
    pub(super) fn kernel_spec(&self) -> String {
        format!("path:{}", self.kernel.dir.display())
    }

    /// The command that runs one test; its record goes to run `run_id`.
    pub(super) fn command(&self, test: &str, accel: &str, run_id: &str, boots: Boots) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .env("KTSTR_ACCEL", accel)
            .env("KTSTR_RUN_ID", run_id)
            .env("KTSTR_SNAPSHOT", if boots == Boots::Forked { "on" } else { "off" });
        command.env("KTSTR_KERNEL", self.kernel_spec()).env("KTSTR_BOOT_TIMEOUT_S", BOOT_TIMEOUT_S);
        command
    }

    /// Runs one test on a machine that boots.
    ///
    /// # Errors
    /// As [`Self::run_as`].
    pub(super) fn run(&self, test: &str, accel: &str) -> Result<(Measured, Record)> {
        self.run_as(test, accel, Boots::Cold)
    }

    /// Runs one test, which must come to a result. Another verdict than a pass is said and measured all the same: on a
    /// host as busy as this may be, a test often finds that it was not treated fairly.
    ///
    /// # Errors
    /// When it comes to no result, or leaves no record.
    pub(super) fn run_as(&self, test: &str, accel: &str, boots: Boots) -> Result<(Measured, Record)> {
        let run_id = format!("bench-{}", std::process::id());
        let (measured, output) = process::measure_any(&mut self.command(test, accel, &run_id, boots))?;
        let dir = runs_dir(&self.program).join(&run_id);
        let record = read_record(&dir.join(format!("{test}.json")));
        let _ = std::fs::remove_dir_all(&dir);
        let record = record.with_context(|| process::tail(&output))?;
        ensure!(record.guest.result.is_some(), "{test} came to no result:\n{}", process::tail(&output));
        eprintln!("bench: {test}, {accel}, {boots:?}: {} after {:.1} s", record.verdict, measured.wall_s);
        Ok((measured, record))
    }
}

fn read_record(path: &Path) -> Result<Record> {
    let text = std::fs::read(path).with_context(|| format!("cannot read the record {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("cannot understand the record {}", path.display()))
}

/// The kernel of `KTSTR_KERNEL`, else the default one.
pub(super) fn default_kernel() -> Result<Kernel> {
    let spec: Spec = ktstr::Settings::from_env()?.kernel.parse().context("KTSTR_KERNEL")?;
    kernel::resolve(&kernel::absolute(&spec)?)
}

fn build(program: &str) -> Result<PathBuf> {
    let test = format!("--test={program}");
    let words = ["test", "--package=ktstr", &test, "--no-run", "--quiet", "--message-format=json"];
    let shell = Shell::new()?;
    let messages = cargo::command(&shell, &words.map(str::to_owned)).quiet().read();
    executable(&messages.context("the tests do not compile")?)
        .context(format!("cargo built no test program `{program}`"))
}

/// The test program among cargo's messages.
pub(super) fn executable(messages: &str) -> Option<PathBuf> {
    let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut built = values.filter(|message| message["target"]["kind"][0] == "test");
    built.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
