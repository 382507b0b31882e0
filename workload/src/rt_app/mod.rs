//! Workloads described by rt-app's JSON files.
//!
//! `tree` reads JSON as rt-app's tools take it, `parse` makes sense of it, `events` of what threads do; `work::rt_app`
//! runs it.

mod events;
mod parse;
#[cfg(test)]
mod tests;
mod tree;

use crate::spec::SchedPolicy;
use ktstr_wire::CpuSet;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A workload that rt-app could run (<https://github.com/scheduler-tools/rt-app>, `doc/tutorial.txt`).
///
/// ```
/// use ktstr_workload::{RtApp, WorkType};
///
/// let text = r#"{ "tasks" : { "audio" : { "run" : 500, "timer" : { "ref" : "tick", "period" : 5000 } } } }"#;
/// let work = WorkType::RtApp(text.parse::<RtApp>()?);
/// # Ok::<(), ktstr_workload::RtAppError>(())
/// ```
///
/// A test's body runs in the guest, where the file is not: `include_str!` takes it along. Each thread of the file is a
/// worker; a round of its work is one execution of a phase. Comments, trailing commas and keys that come several times are
/// taken, as rt-app's `workgen` takes them. What is not understood is an error, and so are `fork`, `taskgroup`, `util_min`,
/// `util_max` and `membind_nodes` of newer files: the scenario says what workers and cgroups there are.
///
/// What differs from rt-app: `run` takes as much CPU time as it says, so that nothing is calibrated; the test's duration
/// counts, not the file's; a thread whose loops are over sleeps until the end; nothing is logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RtApp {
    pub(crate) threads: Vec<Thread>,
    /// Words of shared memory, one for each mutex, condition, barrier and timer.
    pub(crate) words: usize,
    pub(crate) io_device: String,
    pub(crate) mem_buffer_bytes: u64,
    duration: Option<Duration>,
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Thread {
    pub(crate) name: String,
    /// How it is scheduled, and its nice value.
    pub(crate) policy: Option<(SchedPolicy, i32)>,
    pub(crate) cpus: Option<CpuSet>,
    pub(crate) delay_ns: u64,
    /// How often all phases are done; `None` is without end.
    pub(crate) loops: Option<u64>,
    pub(crate) phases: Vec<Phase>,
}

/// What a thread does for some rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) loops: Option<u64>,
    pub(crate) cpus: Option<CpuSet>,
    /// What it becomes here; without, it stays as it is.
    pub(crate) policy: Option<(SchedPolicy, i32)>,
    pub(crate) events: Vec<Event>,
}

/// One thing that a thread does. Numbers of mutexes and the like are those of shared words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// Computes for this much CPU time.
    Run {
        ns: u64,
    },
    /// Computes for this long.
    Runtime {
        ns: u64,
    },
    Sleep {
        ns: u64,
    },
    Timer {
        timer: usize,
        period_ns: u64,
        absolute: bool,
    },
    Lock {
        mutex: usize,
    },
    Unlock {
        mutex: usize,
    },
    Wait {
        condition: usize,
        mutex: usize,
    },
    Signal {
        condition: usize,
    },
    Broadcast {
        condition: usize,
    },
    /// Waits until this many have arrived there.
    Barrier {
        barrier: usize,
        users: u64,
    },
    Memory {
        bytes: u64,
    },
    Io {
        bytes: u64,
    },
    Yield,
}

impl Event {
    /// The shared words that it names.
    pub(crate) fn words(&self) -> [Option<usize>; 2] {
        match *self {
            Self::Timer { timer, .. } => [Some(timer), None],
            Self::Lock { mutex } | Self::Unlock { mutex } => [Some(mutex), None],
            Self::Wait { condition, mutex } => [Some(condition), Some(mutex)],
            Self::Signal { condition } | Self::Broadcast { condition } => [Some(condition), None],
            Self::Barrier { barrier, .. } => [Some(barrier), None],
            Self::Run { .. } | Self::Runtime { .. } | Self::Sleep { .. } => [None, None],
            Self::Memory { .. } | Self::Io { .. } | Self::Yield => [None, None],
        }
    }
}

/// Why a file cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("in {at} of the rt-app file: {what}")]
pub struct RtAppError {
    at: String,
    what: String,
}

impl RtAppError {
    pub(crate) fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

impl RtApp {
    /// How long the file says that it should run, for a test's duration to be set by.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Names of its threads, each as often as it has instances.
    pub fn threads(&self) -> impl Iterator<Item = &str> {
        self.threads.iter().map(|thread| thread.name.as_str())
    }

    /// Everything that its threads do.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.threads.iter().flat_map(|thread| &thread.phases).flat_map(|phase| &phase.events)
    }
}

impl std::str::FromStr for RtApp {
    type Err = RtAppError;

    fn from_str(text: &str) -> Result<Self, RtAppError> {
        parse::file(&tree::read(text)?)
    }
}
