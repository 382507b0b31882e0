//! Why KVM cannot be used, or a machine on it cannot be made.

use super::{boot, devices};
use ktstr_wire::Topology;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why KVM cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such device.
    #[error(
        "there is no {}: this host has no hardware virtualization, its kernel lacks KVM, or the module is not loaded \
         (`modprobe kvm-intel` or `modprobe kvm-amd`)",
        device.display()
    )]
    NoDevice {
        /// The device.
        device: PathBuf,
    },
    /// This user may not open it.
    #[error("{} may not be opened by this user: add the user to the group that owns it (often `kvm`)", device.display())]
    NotPermitted {
        /// The device.
        device: PathBuf,
    },
    /// It could not be opened for another reason.
    #[error("cannot open {}: {source}", device.display())]
    Open {
        /// The device.
        device: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// What was opened is not KVM, or not the KVM that everyone speaks.
    #[error("{} speaks KVM API version {found}, not 12 (a negative number: it is no KVM device)", device.display())]
    ApiVersion {
        /// The device.
        device: PathBuf,
        /// What it said.
        found: i32,
    },
    /// The host's KVM is too old or too small.
    #[error("the KVM of this host lacks {capability}, which the guest needs")]
    MissingCapability {
        /// Name in include/uapi/linux/kvm.h.
        capability: &'static str,
    },
    /// An instruction that every kernel uses did not work in a throw-away guest.
    #[error(
        "this host's KVM cannot run a kernel: {instruction} at privilege level 0 failed with {outcome} (a nested host whose KVM is partly software?)"
    )]
    ProbeFailed {
        /// The instruction.
        instruction: &'static str,
        /// The exit that came instead.
        outcome: String,
    },
    /// A breakpoint was set, and the guest went on.
    #[error(
        "this host's KVM does not stop a guest at breakpoints, as under a processor that QEMU before 10.0 emulates: use \
         emulation (KTSTR_ACCEL=tcg), which needs none"
    )]
    NoBreakpoints,
    /// The throw-away guest did not come back.
    #[error(
        "this host's KVM cannot run a kernel: a handful of instructions at privilege level 0 did not end within {limit_ms} ms"
    )]
    ProbeTimedOut {
        /// Time that it had.
        limit_ms: u64,
    },
    /// More of something than the host's KVM or processor has.
    #[error(
        "this host has {limit} {what}, and topology {topology} needs {needed}; the nearest that works is {nearest}"
    )]
    Limit {
        /// Which limit.
        what: &'static str,
        /// What the host allows.
        limit: u64,
        /// The topology as declared.
        topology: Topology,
        /// What it needs.
        needed: u64,
        /// What this host can have.
        nearest: Topology,
    },
    /// A system call failed.
    #[error("KVM failed to {action}: {source}")]
    Call {
        /// What was being done.
        action: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// A register was refused.
    #[error("KVM refused to set model-specific register {index:#x} of a vCPU")]
    MsrRefused {
        /// The register.
        index: u32,
    },
    /// The host's kernel does not give vCPUs back.
    #[error(
        "{threads} vCPU threads did not leave the guest within {} s of being told to ({states}): they are left, with the \
         guest's memory, until this process ends; the host's KVM is stuck or the host is overloaded (`dmesg` may know)",
        limit.as_secs()
    )]
    Stuck {
        /// How many.
        threads: usize,
        /// How long they had.
        limit: Duration,
        /// What each does by the host's kernel.
        states: String,
    },
    /// Only a machine that stands still can be saved.
    #[error("a machine that does not stand still cannot be saved")]
    NotStill,
    /// A machine without its time is none.
    #[error("a machine cannot be saved here, for its time is not known: {why}")]
    NoTime {
        /// What came back.
        why: String,
    },
    /// What was saved of a machine is of no use here.
    #[error("the saved state of a machine cannot be used: {why}; boot one instead, and take the snapshot again")]
    State {
        /// Why not.
        why: String,
    },
    /// The guest could not be put into memory.
    #[error(transparent)]
    Boot(#[from] boot::Error),
    /// A device could not be made.
    #[error(transparent)]
    Device(#[from] devices::Error),
}

impl Error {
    /// A closure for `map_err` on the results of `kvm_ioctls`.
    pub(crate) fn call(action: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |error| Self::Call { action, source: io::Error::from_raw_os_error(error.errno()) }
    }

    /// A closure for `map_err` on the results of the standard library.
    pub(crate) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Call { action, source }
    }
}
