//! The test binary inside the guest.

mod sysctl;

use crate::assert::AssertResult;
use crate::ctx::{Ctx, RunContext};
use crate::entry::Body;
use crate::stimulus::Stimulus;
use anyhow::{Context, Result};
use ktstr_wire::message::{CONTEXT_ENV, REPORT_FD_ENV};
use ktstr_workload::{CgroupManager, WorkerReport};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Parent of every cgroup of a test.
const CGROUP_PARENT: &str = "/sys/fs/cgroup/ktstr";

/// One report frame to the host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// Something happened to the workload.
    Stimulus(Stimulus),
    /// What a worker measured; `phase` counts the outcome's phases, and is none for the whole run.
    Worker { phase: Option<usize>, report: Box<WorkerReport> },
    /// What the body came to. Nothing follows it.
    Outcome(Outcome),
}

/// What the body came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It returned a result; what workers measured came before it, each in a frame of its own.
    Finished(AssertResult),
    /// It returned an error.
    Error(String),
    /// It panicked.
    Panicked(String),
}

/// The way back to the agent.
pub(crate) struct Connection {
    reporter: Reporter,
    context_path: String,
}

/// Sends frames to the host, from any thread.
#[derive(Debug)]
pub(crate) struct Reporter(Mutex<File>);

impl Connection {
    /// The connection that the agent gave, if this process runs in a guest.
    pub(crate) fn from_env() -> Option<Self> {
        let fd: i32 = std::env::var(REPORT_FD_ENV).ok()?.parse().ok()?;
        let context_path = std::env::var(CONTEXT_ENV).ok()?;
        // SAFETY: the agent made the descriptor for this process, and one process runs one test.
        let report = unsafe { File::from_raw_fd(fd) };
        Some(Self { reporter: Reporter(Mutex::new(report)), context_path })
    }
}

/// Runs the body and reports what it came to.
pub(crate) fn run(connection: Connection, body: Body) {
    let reporter = Arc::new(connection.reporter);
    let outcome = match catch_unwind(AssertUnwindSafe(|| attempt(&reporter, &connection.context_path, body))) {
        Ok(Ok(result)) => Outcome::Finished(result),
        Ok(Err(error)) => Outcome::Error(format!("{error:#}")),
        Err(panic) => Outcome::Panicked(panic_text(&*panic)),
    };
    if let Err(error) = send_outcome(&reporter, outcome) {
        eprintln!("cannot report the outcome: {error:#}");
    }
}

fn attempt(reporter: &Arc<Reporter>, context_path: &str, body: Body) -> Result<AssertResult> {
    let bytes = std::fs::read(context_path).with_context(|| format!("cannot read {context_path}"))?;
    let run: RunContext =
        serde_json::from_slice(&bytes).with_context(|| format!("cannot understand {context_path}"))?;
    if let Err(error) = sysctl::set_all(Path::new("/proc/sys"), &run.sysctls) {
        // The test was not run as it was meant to be, which tells nothing of the scheduler.
        let inconclusive = vec![format!("{error:#}")];
        return Ok(AssertResult { inconclusive, ..AssertResult::default() });
    }
    body(&Ctx::new(run, CgroupManager::new(CGROUP_PARENT)?, Arc::clone(reporter)))
}

/// Workers' reports first, as one frame must not grow with their number.
fn send_outcome(reporter: &Reporter, mut outcome: Outcome) -> Result<()> {
    if let Outcome::Finished(result) = &mut outcome {
        for report in std::mem::take(&mut result.reports) {
            reporter.send(&Frame::Worker { phase: None, report: Box::new(report) })?;
        }
        for (phase, of_phase) in result.phases.iter_mut().enumerate() {
            for report in std::mem::take(&mut of_phase.reports) {
                reporter.send(&Frame::Worker { phase: Some(phase), report: Box::new(report) })?;
            }
        }
    }
    reporter.send(&Frame::Outcome(outcome))
}

impl Reporter {
    /// Sends a frame.
    ///
    /// # Errors
    /// When the agent does not take it.
    pub(crate) fn send(&self, frame: &Frame) -> Result<()> {
        let payload = serde_json::to_vec(frame)?;
        let length = u32::try_from(payload.len())?;
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&[&length.to_le_bytes()[..], &payload].concat())?;
        Ok(())
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
