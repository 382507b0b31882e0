//! The test binary inside the guest.

use crate::assert::AssertResult;
use crate::ctx::{Ctx, RunContext};
use crate::entry::Body;
use anyhow::{Context, Result};
use ktstr_wire::message::{CONTEXT_ENV, REPORT_FD_ENV};
use ktstr_workload::CgroupManager;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Parent of every cgroup of a test.
const CGROUP_PARENT: &str = "/sys/fs/cgroup/ktstr";

/// What the body came to, as one report frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It returned a result.
    Finished(AssertResult),
    /// It returned an error.
    Error(String),
    /// It panicked.
    Panicked(String),
}

/// The way back to the agent.
pub(crate) struct Connection {
    report: File,
    context_path: String,
}

impl Connection {
    /// The connection that the agent gave, if this process runs in a guest.
    pub(crate) fn from_env() -> Option<Self> {
        let fd: i32 = std::env::var(REPORT_FD_ENV).ok()?.parse().ok()?;
        let context_path = std::env::var(CONTEXT_ENV).ok()?;
        // SAFETY: the agent made the descriptor for this process, and one process runs one test.
        let report = unsafe { File::from_raw_fd(fd) };
        Some(Self { report, context_path })
    }
}

/// Runs the body and reports what it came to.
pub(crate) fn run(mut connection: Connection, body: Body) {
    let outcome = match catch_unwind(AssertUnwindSafe(|| attempt(&connection, body))) {
        Ok(Ok(result)) => Outcome::Finished(result),
        Ok(Err(error)) => Outcome::Error(format!("{error:#}")),
        Err(panic) => Outcome::Panicked(panic_text(&*panic)),
    };
    if let Err(error) = connection.send(&outcome) {
        eprintln!("cannot report the outcome: {error:#}");
    }
}

fn attempt(connection: &Connection, body: Body) -> Result<AssertResult> {
    let path = &connection.context_path;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    let run: RunContext = serde_json::from_slice(&bytes).with_context(|| format!("cannot understand {path}"))?;
    let cgroups = CgroupManager::new(CGROUP_PARENT)?;
    body(&Ctx { run, cgroups })
}

impl Connection {
    fn send(&mut self, outcome: &Outcome) -> Result<()> {
        let payload = serde_json::to_vec(outcome)?;
        let length = u32::try_from(payload.len())?;
        self.report.write_all(&[&length.to_le_bytes()[..], &payload].concat())?;
        Ok(())
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
