//! Everything that the host has seen of one machine: what the verdict is made from.

use crate::guest::Outcome;
use crate::host::console::ConsoleSeen;
use crate::host::phases::Overdue;
use crate::host::session::{Asked, Traced};
use crate::host::share::HostShare;
use crate::record::{BootPart, TimeSplit};
use crate::scheduler::SchedulerRun;
use crate::stimulus::Stimulus;
use crate::verdict::Finding;
use ktstr_vmm::placement::Report;
use ktstr_vmm::{Exit, VcpuClock};
use ktstr_wire::{ExitStatus, Hello, MachineReport};

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    pub(crate) machine: Option<MachineReport>,
    /// In what that machine is another one than declared.
    pub(crate) differences: Vec<String>,
    pub(crate) hello: Option<Hello>,
    pub(crate) started_ns: Option<u64>,
    pub(crate) exited: Option<(ExitStatus, u64)>,
    pub(crate) said_bye: bool,
    pub(crate) faults: Vec<String>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) schedulers: Vec<SchedulerRun>,
    /// What these did that none may.
    pub(crate) scheduler_findings: Vec<Finding>,
    /// What cannot be told of them.
    pub(crate) scheduler_doubts: Vec<String>,
    /// The kernel's trace, where one was ordered.
    pub(crate) trace: Traced,
    pub(crate) stimuli: Vec<Stimulus>,
    pub(crate) output: String,
    pub(crate) console: ConsoleSeen,
    /// Protocol breaches: a corrupt ring, strange messages, bytes on the control channel that are no frames.
    pub(crate) breaches: Vec<String>,
    pub(crate) dropped_frames: u32,
    pub(crate) exit: Option<Exit>,
    /// Why the machine could not be ended.
    pub(crate) not_ended: Option<String>,
    /// The deadline that passed.
    pub(crate) overdue: Option<Overdue>,
    /// What came of asking the kernel for dumps then.
    pub(crate) asked: Option<Asked>,
    /// Host time for a second of guest time until the agent was up, where the guest has a clock of its own.
    pub(crate) slowdown: Option<f64>,
    /// How the machine came to the hello.
    pub(crate) boot: BootPart,
    /// What the machine has of performance mode, if that was asked for.
    pub(crate) placement: Option<Report>,
    /// What the backend went without, and why.
    pub(crate) lacks: Option<String>,
    pub(crate) vcpu_clocks: Vec<VcpuClock>,
    pub(crate) share: HostShare,
    pub(crate) time: TimeSplit,
}
