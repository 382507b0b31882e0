//! What a record says of a scheduler and of its runs.

use super::exit::SchedulerExit;
use ktstr_wire::scheduler::{ProgramLoad, SchedulerEnd};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which scheduler a test had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerPart {
    /// Its name, `eevdf` for the kernel's own.
    pub name: String,
    /// Where it comes from, in words.
    pub binary: String,
    /// The arguments of its program.
    pub args: Vec<String>,
    /// Its program on the host, once found.
    pub path: Option<PathBuf>,
    /// BLAKE3 of the program, in hex.
    pub hash: Option<String>,
}

impl Default for SchedulerPart {
    fn default() -> Self {
        let (name, binary) = ("eevdf".to_owned(), "none".to_owned());
        Self { name, binary, args: Vec::new(), path: None, hash: None }
    }
}

/// One scheduler from its start to its end, as the agent told. Times are nanoseconds of the guest's `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchedulerRun {
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: Option<i32>,
    /// When it was about to be started.
    pub starting_ns: u64,
    /// When it was enabled: several times where its process loads it again by itself.
    pub enabled: Vec<EnabledSpan>,
    /// Its own process loaded it again, after the kernel had unregistered it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<Restart>,
    /// How it ended; `None` when that was not told.
    pub end: Option<SchedulerEnd>,
    /// What that came to.
    #[serde(default)]
    pub exit: SchedulerExit,
    /// Its standard output; a flood's middle is left out, here and below.
    pub stdout: String,
    /// Its standard error, without the dump that is in `exit`.
    pub stderr: String,
    /// What the kernel logged meanwhile.
    pub kernel: Vec<KernelLine>,
    /// Lines of the kernel's log that are not among these.
    #[serde(default)]
    pub kernel_lines_missed: u64,
    /// Timed writes into its maps that were made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map_writes: Vec<MapWritten>,
    /// What the kernel did with its BPF programs, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramRun>,
}

impl SchedulerRun {
    /// How long it took from its start until the kernel had enabled it.
    pub fn load_ns(&self) -> Option<u64> {
        self.enabled.first().map(|span| span.from_ns.saturating_sub(self.starting_ns))
    }

    /// How long it was enabled, all together.
    pub fn enabled_ns(&self) -> u64 {
        let ended_ns = self.end.as_ref().map(|end| end.at_ns);
        let length = |span: &EnabledSpan| {
            let to_ns = span.disabled_ns.or(ended_ns).unwrap_or(span.from_ns);
            to_ns.saturating_sub(span.from_ns)
        };
        self.enabled.iter().map(length).fold(0, u64::saturating_add)
    }

    /// The name of its ops by the kernel, where it was enabled and is not in the kernel.
    pub fn ops(&self) -> Option<&str> {
        self.enabled.last().map(|span| span.ops.as_str()).filter(|ops| !ops.is_empty())
    }
}

/// A stretch of time in which a scheduler was enabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnabledSpan {
    /// The name of its ops by the kernel; empty for one that is in the kernel.
    pub ops: String,
    /// When that was seen.
    pub from_ns: u64,
    /// When it was seen that the kernel had disabled it, though nobody asked for it.
    pub disabled_ns: Option<u64>,
}

/// A scheduler that was unregistered by the kernel, as for a CPU that came or went, and was loaded again by its own process, or
/// was to be. Between these times the kernel's own scheduler had the tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When it was seen that the kernel had disabled it.
    pub disabled_ns: u64,
    /// When it was seen that it was enabled again; `None` where it was asked to end before.
    pub enabled_ns: Option<u64>,
    /// The kernel's words for why, such as `cpu 1 going online, exiting scheduler`; empty where none are known.
    pub why: String,
}

impl Restart {
    /// How long it was not enabled, of the time between these two.
    pub fn unserved_ns(&self, from_ns: u64, to_ns: u64) -> u64 {
        self.enabled_ns.map_or(to_ns, |enabled_ns| enabled_ns.min(to_ns)).saturating_sub(self.disabled_ns.max(from_ns))
    }
}

/// A timed write into a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapWritten {
    /// Which one of the test's, from 0.
    pub number: u32,
    /// When.
    pub at_ns: u64,
}

/// A line of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelLine {
    /// When the kernel said it.
    pub at_ns: u64,
    /// What it said, with its level in front: `3: sched_ext: …`.
    pub line: String,
}

/// One BPF program that a scheduler loaded, or tried to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRun {
    /// What the kernel did with it.
    pub load: ProgramLoad,
    /// The verifier's log.
    pub log: String,
}
