//! The KVM backend: our own in-process monitor.

use crate::config::VmConfig;
use crate::machine::{Exit, Machine, VcpuClock};
use crate::memory::GuestRam;
use crate::serial_log::SerialLog;

/// Why KVM cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Under construction: replaced by the real errors.
    #[error("the kvm backend is not there yet")]
    Missing,
}

/// Whether KVM here can run a stock kernel.
///
/// # Errors
/// Why not.
pub fn probe() -> Result<(), Error> {
    Err(Error::Missing)
}

/// A machine on `/dev/kvm`.
pub(crate) struct KvmMachine {}

impl KvmMachine {
    pub(crate) fn new(
        _config: &VmConfig,
        _ram: &GuestRam,
        _console: &SerialLog,
        _control: &SerialLog,
    ) -> Result<Self, Error> {
        Err(Error::Missing)
    }
}

impl Machine for KvmMachine {
    fn start(&mut self) -> Result<(), crate::Error> {
        Err(Error::Missing.into())
    }

    fn exit(&mut self) -> Option<Exit> {
        None
    }

    fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        Vec::new()
    }

    fn stop(&mut self) {}
}
