//! One run of one test.

use super::Shown;
use crate::gauntlet::Listed;
use anyhow::{Context, Result};
use ktstr::{Chosen, assignment};
use std::fmt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A test, and what it is run with.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) test: Listed,
    /// `KTSTR_KERNEL`.
    pub(crate) kernel: String,
    /// `KTSTR_SEED`.
    pub(crate) seed: u64,
    pub(crate) accel: Chosen,
    /// `KTSTR_RUN_ID`.
    pub(crate) run_id: String,
    /// What it is expected to take.
    pub(crate) seconds: f64,
    /// How many of the host's CPUs its machine keeps busy.
    pub(crate) cpus: usize,
}

/// How a job ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) passed: bool,
    pub(crate) took: Duration,
    /// What the program said.
    pub(crate) output: String,
}

impl Job {
    /// Runs it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(super) fn run(&self, Shown { console, trace }: Shown) -> Result<Ended> {
        let (binary, began) = (&self.test.binary, Instant::now());
        let mut command = Command::new(&binary.path);
        command.args(["--exact", &self.test.description.name, "--include-ignored"]);
        command.current_dir(&binary.dir).env("CARGO_MANIFEST_DIR", &binary.dir).env_remove("NEXTEST_RUN_ID");
        command.env("KTSTR_KERNEL", &self.kernel).env("KTSTR_SEED", self.seed.to_string());
        command.env("KTSTR_ACCEL", self.accel.to_string()).env("KTSTR_RUN_ID", &self.run_id);
        // What the environment picks was for the choice of jobs.
        command.env_remove("KTSTR_PROFILE").envs(self.profile().map(|profile| ("KTSTR_PROFILE", profile)));
        if console {
            command.env("KTSTR_CONSOLE", "1");
        }
        if trace {
            command.env("KTSTR_TRACE", "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let output = command.stderr(if console { Stdio::inherit() } else { Stdio::piped() }).output();
        let output = output.with_context(|| format!("cannot run {}", binary.path.display()))?;
        let text = [output.stdout, output.stderr].concat();
        let output_text = String::from_utf8_lossy(&text).into_owned();
        Ok(Ended { passed: output.status.success(), took: began.elapsed(), output: output_text })
    }

    fn profile(&self) -> Option<String> {
        self.test.description.profile().map(ToString::to_string)
    }

    /// The command that runs the same thing again.
    pub(crate) fn again(&self) -> String {
        let target = &self.test.binary.target;
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut command = assignment("KTSTR_SEED", &self.seed.to_string());
        command += &assignment("KTSTR_ACCEL", &self.accel.to_string());
        command += &assignment("KTSTR_KERNEL", &self.kernel);
        let inherited = ["KTSTR_KARGS", "KTSTR_REPLICAS"].map(|name| (name, set(name)));
        for (name, value) in [("KTSTR_PROFILE", self.profile())].into_iter().chain(inherited) {
            command += &value.map_or_else(String::new, |value| assignment(name, &value));
        }
        let place = match target.kind.as_str() {
            "test" => format!("--test {}", target.name),
            "bin" => format!("--bin {}", target.name),
            _ => "--lib".to_owned(),
        };
        command += &format!("cargo test --package {} {place} -- --exact", target.package);
        command + &format!(" {} --include-ignored", self.test.description.name)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}, seed {}", self.test.description.variant(), self.kernel, self.seed)
    }
}
