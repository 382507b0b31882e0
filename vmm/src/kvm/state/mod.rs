//! All of a machine that is not in its memory: taken from one, as bytes, and given to another.
//!
//! It fits a machine of the same configuration on a host whose KVM offers the same processor. Whatever else the bytes are,
//! they are an error.

mod chips;
pub(super) mod msrs;
mod time;
mod vcpu;

pub(super) use time::Time;

use super::devices::UartState;
use super::early_clock::Trap;
use super::{Error, system};
use chips::Chips;
use kvm_bindings::kvm_cpuid_entry2;
use kvm_ioctls::{VcpuFd, VmFd};
use serde::{Deserialize, Serialize};
use vcpu::VcpuState;

/// Counts up when anything changes in what is saved.
const FORMAT: u32 = 1;

/// The state of a machine.
#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    /// What the first vCPU says it is.
    cpuid: Vec<kvm_cpuid_entry2>,
    pub(super) time: Time,
    vcpus: Vec<VcpuState>,
    chips: Chips,
    /// COM1 and COM2.
    pub(super) ports: [UartState; 2],
    /// The trap in the kernel, if it has not come there.
    pub(super) trap: Option<Trap>,
}

impl State {
    /// Of a machine whose vCPUs stand still, at this time.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn take(
        vm: &VmFd,
        vcpus: &[&VcpuFd],
        cpuid: &[kvm_cpuid_entry2],
        time: Time,
        ports: [UartState; 2],
        trap: Option<Trap>,
    ) -> Result<Self, Error> {
        let msrs = msrs::all(&system::open()?)?;
        // The controllers after the vCPUs: to ask for a vCPU's state can take an interrupt from them.
        let vcpus = vcpus.iter().map(|vcpu| VcpuState::take(vcpu, &msrs)).collect::<Result<_, _>>()?;
        Ok(Self { format: FORMAT, cpuid: cpuid.to_vec(), time, vcpus, chips: Chips::take(vm)?, ports, trap })
    }

    /// Of a machine that has not run.
    pub(crate) fn blank(vcpus: usize) -> Self {
        let cpuid = vec![kvm_cpuid_entry2 { function: 1, ecx: 1 << 31, ..Default::default() }];
        let vcpus_state = (0..vcpus).map(|_| VcpuState::default()).collect();
        let (time, ports) = (Time::zero(vcpus), [(); 2].map(|()| UartState::default()));
        Self { format: FORMAT, cpuid, time, vcpus: vcpus_state, chips: Chips::default(), ports, trap: None }
    }

    /// As bytes.
    ///
    /// # Errors
    /// [`Error::State`], when the host is out of memory.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        postcard::to_stdvec(self).map_err(|error| bad(format!("it cannot be written: {error}")))
    }

    /// From bytes.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (format, _) = postcard::take_from_bytes::<u32>(bytes).map_err(|error| bad(error.to_string()))?;
        if format != FORMAT {
            return Err(bad(format!("its format is {format}, and this program knows {FORMAT}")));
        }
        match postcard::take_from_bytes(bytes) {
            Ok((state, [])) => Ok(state),
            Ok((_, rest)) => Err(bad(format!("{} bytes are left over", rest.len()))),
            Err(error) => Err(bad(error.to_string())),
        }
    }

    /// Checks that it is one of a machine with so many vCPUs, the first of which says that it is this.
    ///
    /// # Errors
    /// [`Error::State`].
    pub(super) fn check(&self, vcpus: usize, cpuid: &[kvm_cpuid_entry2]) -> Result<(), Error> {
        if self.vcpus.len() != vcpus || self.time.vcpus() != vcpus {
            return Err(bad(format!("it is of {} vCPUs, and the machine has {vcpus}", self.vcpus.len())));
        }
        let differs = |one: &[kvm_cpuid_entry2], other: &[kvm_cpuid_entry2]| {
            one.iter().find(|leaf| !other.contains(leaf)).map(|leaf| (leaf.function, leaf.index))
        };
        match differs(&self.cpuid, cpuid).or_else(|| differs(cpuid, &self.cpuid)) {
            None => Ok(()),
            Some((function, index)) => Err(bad(format!(
                "it was taken where a vCPU is another processor than here, by CPUID leaf {function:#x}, subleaf {index:#x}"
            ))),
        }
    }

    /// Gives it to a machine that has not run, but for its time, ports and trap.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn put(&self, vm: &VmFd, vcpus: &[VcpuFd]) -> Result<(), Error> {
        for (vcpu, state) in vcpus.iter().zip(&self.vcpus) {
            self.time.put_rate(vcpu)?;
            state.put(vm, vcpu)?;
        }
        // They may interrupt vCPUs as they are set.
        self.chips.put(vm)
    }
}

/// It is not what it should be.
fn bad(why: String) -> Error {
    Error::State { why }
}

#[cfg(test)]
mod tests;
