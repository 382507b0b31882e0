//! What a program came to, as data.

use super::watch::Ended;
use super::{Metric, Program};
use crate::report::WorkerReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramEnd {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody knows.
    Unknown,
}

/// What a program that ran as a worker came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgramReport {
    /// Its name and arguments.
    pub argv: Vec<String>,
    /// How it ended.
    pub end: ProgramEnd,
    /// When, on the guest's `CLOCK_MONOTONIC`.
    pub ended_ns: u64,
    /// Whether it still ran when the workers were stopped, and so was asked to end.
    pub stopped: bool,
    /// What it printed; a flood's middle is left out.
    pub stdout: String,
    /// What it printed to standard error; likewise.
    pub stderr: String,
    /// The numbers that were taken from what it printed.
    pub metrics: BTreeMap<String, f64>,
    /// The metrics that could not be, and why.
    pub unread: BTreeMap<String, String>,
}

impl ProgramReport {
    /// Why it is not as it should be: it failed by itself, or it crashed when it was to end.
    pub fn failure(&self) -> Option<String> {
        let orderly = match self.end {
            ProgramEnd::Exited(0) => true,
            ProgramEnd::Exited(_) => self.stopped,
            ProgramEnd::Signal(signal) => self.stopped && [libc::SIGTERM, libc::SIGKILL].contains(&signal),
            ProgramEnd::Unknown => false,
        };
        let when = if self.stopped { " when it was asked to end" } else { "" };
        (!orderly).then(|| format!("`{}` {}{when}", self.argv.join(" "), self.end))
    }
}

impl fmt::Display for ProgramEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with {status}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::Unknown => f.write_str("ended in an unknown way"),
        }
    }
}

impl Ended {
    /// Adds to a worker's report what its program came to. `stopped` is whether it was asked to end.
    pub(crate) fn report(self, program: &Program, stopped: bool, report: &mut WorkerReport) {
        report.cpu_time_ns = self.cpu_time_ns;
        report.voluntary_switches = Some(self.voluntary_switches);
        report.involuntary_switches = Some(self.involuntary_switches);
        report.wall_time_ns = report.wall_time_ns.min(self.at_ns.saturating_sub(report.from_ns));
        let end = match self.status {
            Some(status) if libc::WIFEXITED(status) => ProgramEnd::Exited(libc::WEXITSTATUS(status)),
            Some(status) if libc::WIFSIGNALED(status) => ProgramEnd::Signal(libc::WTERMSIG(status)),
            _ => ProgramEnd::Unknown,
        };
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        let read = |metric: &Metric| (metric.name.clone(), metric.read([&stdout, &stderr]));
        let (mut metrics, mut unread) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in program.metrics.iter().map(read) {
            match value {
                Ok(number) => _ = metrics.insert(name, number),
                Err(why) => _ = unread.insert(name, why),
            }
        }
        let argv = std::iter::once(&program.name).chain(&program.args).cloned().collect();
        let ended_ns = self.at_ns;
        report.program =
            Some(Box::new(ProgramReport { argv, end, ended_ns, stopped, stdout, stderr, metrics, unread }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(end: ProgramEnd, stopped: bool, expected: Option<&str>) {
        let report = ProgramReport {
            argv: vec!["a".to_owned(), "b".to_owned()],
            end,
            ended_ns: 0,
            stopped,
            stdout: String::new(),
            stderr: String::new(),
            metrics: BTreeMap::new(),
            unread: BTreeMap::new(),
        };
        assert_eq!(report.failure().as_deref(), expected);
    }

    #[test]
    fn a_program_that_was_asked_to_end_may_say_so() {
        check(ProgramEnd::Exited(0), false, None);
        check(ProgramEnd::Exited(3), false, Some("`a b` exited with 3"));
        check(ProgramEnd::Exited(3), true, None);
        check(ProgramEnd::Signal(libc::SIGTERM), true, None);
        check(ProgramEnd::Signal(libc::SIGKILL), false, Some("`a b` was ended by signal 9"));
        check(ProgramEnd::Signal(libc::SIGSEGV), true, Some("`a b` was ended by signal 11 when it was asked to end"));
        check(ProgramEnd::Unknown, true, Some("`a b` ended in an unknown way when it was asked to end"));
    }
}
