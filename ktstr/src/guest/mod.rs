//! The test binary inside the guest.

mod frame;
mod schedulers;
mod sysctl;

pub(crate) use frame::{Frame, Outcome, Reporter};
pub(crate) use schedulers::{Known, Named, Schedulers, at_once};

use crate::assert::AssertResult;
use crate::ctx::{Ctx, RunContext};
use crate::entry::Body;
use anyhow::{Context, Result};
use ktstr_wire::message::{CONTEXT_ENV, REPORT_FD_ENV};
use ktstr_workload::CgroupManager;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// Parent of every cgroup of a test, where its scheduler does not name another one.
pub(crate) const CGROUP_PARENT: &str = "ktstr";

/// The root of the cgroup hierarchy.
const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// The way back to the agent.
pub(crate) struct Connection {
    reporter: Reporter,
    context_path: String,
}

impl Connection {
    /// The connection that the agent gave, if this process runs in a guest.
    pub(crate) fn from_env() -> Option<Self> {
        let fd: i32 = std::env::var(REPORT_FD_ENV).ok()?.parse().ok()?;
        let context_path = std::env::var(CONTEXT_ENV).ok()?;
        // SAFETY: the agent made the descriptor for this process, and one process runs one test.
        let report = unsafe { File::from_raw_fd(fd) };
        Some(Self { reporter: Reporter::new(report), context_path })
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
    if let Err(error) = reporter.send_outcome(outcome) {
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
    let cgroups = CgroupManager::new(Path::new(CGROUP_ROOT).join(&run.cgroup_parent))?;
    body(&Ctx::new(run, cgroups, Arc::clone(reporter)))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
