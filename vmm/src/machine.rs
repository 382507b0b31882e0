//! What a backend offers to [`crate::Vm`].

use crate::error::Error;
use crate::stops::Hook;
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::time::Duration;

/// Why a machine stopped by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// The guest powered off.
    PowerOff,
    /// The guest asked for a reset, which is what a kernel panic with `panic=-1` ends in.
    Reset,
    /// The guest died without a word: a triple fault.
    TripleFault,
    /// The backend could not go on.
    Broken(String),
}

/// What the host let one vCPU have so far (`/proc/PID/task/TID/schedstat`, Documentation/scheduler/sched-stats.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VcpuClock {
    /// Time on a host CPU.
    pub run_ns: u64,
    /// Time runnable but not running.
    pub wait_ns: u64,
}

impl VcpuClock {
    /// The clock of a host thread; `None` once the thread is gone.
    pub fn of_thread(pid: u32, tid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
        let mut fields = text.split_ascii_whitespace().map(str::parse);
        Some(Self { run_ns: fields.next()?.ok()?, wait_ns: fields.next()?.ok()? })
    }
}

impl Add for VcpuClock {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { run_ns: self.run_ns + other.run_ns, wait_ns: self.wait_ns + other.wait_ns }
    }
}

/// One machine of one backend. Dropping it stops the guest and leaves nothing behind.
pub(crate) trait Machine: Send {
    /// As [`crate::Vm::stop_at`], of a machine that does not run yet, and with what has been checked.
    fn stop_at(&mut self, hook: Hook) -> Result<(), Error>;

    /// Lets the vCPUs run.
    fn start(&mut self) -> Result<(), Error>;

    /// As [`crate::Vm::stop_at_mark`].
    fn stop_at_mark(&mut self) -> bool {
        false
    }

    /// As [`crate::Vm::freeze`], of a machine that runs.
    fn freeze(&mut self) -> Result<bool, Error>;

    /// All of a frozen machine but its RAM and what the guest has written to its ports, for a machine of the same
    /// configuration to go on from.
    fn save(&mut self) -> Result<Vec<u8>, Error>;

    /// Lets a frozen machine go on.
    fn resume(&mut self) -> Result<(), Error>;

    /// As [`crate::Vm::type_into_console`].
    fn type_into_console(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// As [`crate::Vm::send_break`].
    fn send_break(&mut self) -> Result<(), Error>;

    /// As [`crate::Vm::send_sysrq`].
    fn send_sysrq(&mut self, key: u8) -> Result<(), Error>;

    /// As [`crate::Vm::send_nmi`].
    fn send_nmi(&mut self) -> Result<(), Error>;

    /// Why the machine stopped, once it has.
    fn exit(&mut self) -> Option<Exit>;

    /// The clocks of the threads that run vCPUs, in vCPU order; one where all vCPUs share a thread.
    fn vcpu_clocks(&self) -> Vec<VcpuClock>;

    /// As [`crate::Vm::lacks`].
    fn lacks(&self) -> Option<&str> {
        None
    }

    /// As [`crate::Vm::executed`].
    fn executed(&mut self) -> Option<Duration> {
        None
    }

    /// Ends the guest, whatever it does, and waits until its threads or processes are gone, but not for ever.
    fn stop(&mut self) -> Result<(), Error>;
}
