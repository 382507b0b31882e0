//! How a scheduler's run ended, as it is classified.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a scheduler's run ended, with the words of the kernel and of its program.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SchedulerExit {
    /// Of what sort it was.
    pub class: SchedulerClass,
    /// The kernel's number (`enum scx_exit_kind`, kernel/sched/ext_internal.h), where it told one.
    pub kind: Option<u32>,
    /// The kernel's word for it, such as `runnable task stall`.
    pub reason: Option<String>,
    /// What the kernel says besides, such as `sh[192] failed to run for 7.556s`.
    pub message: Option<String>,
    /// The kernel's dump of its state, as the scheduler's program printed it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dump: String,
}

/// Sorts of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerClass {
    /// That was not told.
    #[default]
    Unknown,
    /// It was enabled, and ended when it was asked to.
    Clean,
    /// The verifier rejected one of its programs.
    Rejected,
    /// The kernel, or libbpf for it, did not take it, with an error number.
    Refused,
    /// Its process ended by itself, before it was enabled or after.
    Exited,
    /// It was not enabled in time.
    NotEnabled,
    /// The kernel's watchdog found a runnable task that did not run, or did not get to run itself.
    Stalled,
    /// It called `scx_bpf_error`.
    Error,
    /// The kernel found it doing what no scheduler may.
    RuntimeError,
    /// One of its BPF programs did what none may at run time: it read a wrong address, or did not end.
    BpfFault,
    /// It was unregistered, and nobody had asked for that here.
    Unregistered,
    /// The kernel unregistered it, as for a CPU that comes or goes.
    UnregisteredByKernel,
    /// Somebody disabled it by a SysRq key.
    SysRq,
    /// The kernel disabled it and did not say why.
    Disabled,
    /// It did not end by its signal and was killed.
    Killed,
    /// It ended badly when it was asked to.
    EndedBadly,
}

impl fmt::Display for SchedulerClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Clean => "clean",
            Self::Rejected => "rejected by the verifier",
            Self::Refused => "refused by the kernel",
            Self::Exited => "exited early",
            Self::NotEnabled => "not enabled in time",
            Self::Stalled => "runnable task stall",
            Self::Error => "scx_bpf_error",
            Self::RuntimeError => "runtime error",
            Self::BpfFault => "BPF fault",
            Self::Unregistered => "unregistered",
            Self::UnregisteredByKernel => "unregistered by the kernel",
            Self::SysRq => "disabled by SysRq",
            Self::Disabled => "disabled",
            Self::Killed => "killed",
            Self::EndedBadly => "ended badly",
        })
    }
}
