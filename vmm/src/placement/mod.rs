//! Performance mode: a machine whose vCPUs have host CPUs of their own that are arranged as the machine declares.
//!
//! It is many parts, each of which a host may lack: [`Report`] says which were had and why the others were not. What
//! could stop others, real-time vCPUs and ones that keep their CPU while idle, is done only where no other machine uses
//! the CPUs, and real time only where the rest of the host keeps one.

mod apply;
mod host;
mod plan;
mod reserve;

pub(crate) use apply::{Place, Placed, bind_memory, run_here};
pub use host::{HostCpu, HostTopology};
pub use plan::{Plan, plan};
pub use reserve::reserve;

use serde::{Deserialize, Serialize};

/// One part of performance mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All others: the accelerator has host CPUs for vCPUs.
    Hardware,
    /// Each vCPU's thread runs on a host CPU of its own.
    PinnedVcpus,
    /// The host CPUs of each declared LLC share one, and SMT siblings are siblings.
    Llcs,
    /// The LLCs of each declared node are of one host node, and of another for another.
    Nodes,
    /// No other machine uses these CPUs.
    ExclusiveCpus,
    /// Each node's RAM is on the host node of its CPUs.
    LocalMemory,
    /// RAM is reserved huge pages (hugetlbfs), there before the guest starts.
    HugePages,
    /// vCPU threads run under SCHED_FIFO.
    RealTime,
    /// The host's kernel does not stop real-time threads that run for long.
    NoThrottling,
    /// An idle vCPU stays in the guest.
    NoHaltExits,
    /// A spinning vCPU stays in the guest.
    NoPauseExits,
    /// The guest is told that its vCPUs are never preempted (KVM_HINTS_REALTIME).
    RealTimeHint,
}

/// A part that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Which.
    pub part: Part,
    /// Why not, and what to do if there is something.
    pub reason: String,
}

/// What of performance mode a machine has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// What it has.
    pub applied: Vec<Part>,
    /// What it lacks.
    pub missing: Vec<Missing>,
}

impl Report {
    /// Books a part.
    pub(crate) fn book(&mut self, part: Part, had: Result<(), String>) {
        match had {
            Ok(()) => self.applied.push(part),
            Err(reason) => self.missing.push(Missing { part, reason }),
        }
    }

    /// Of a machine without host CPUs for its vCPUs.
    pub fn none(reason: &str) -> Self {
        Self { applied: Vec::new(), missing: vec![Missing { part: Part::Hardware, reason: reason.to_owned() }] }
    }

    /// What is missing and why, for people; `None` when nothing is.
    pub fn complaint(&self) -> Option<String> {
        let parts: Vec<String> =
            self.missing.iter().map(|missing| format!("{:?}: {}", missing.part, missing.reason)).collect();
        (!parts.is_empty()).then(|| format!("performance mode without {}", parts.join("; ")))
    }
}
