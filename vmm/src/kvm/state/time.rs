//! Guest time, which stands still while the machine does.
//!
//! The guest has two clocks that must agree: KVM's, and the time stamp counter of each vCPU, by which it reads the other
//! between KVM's updates. So the counters go on from where KVM's clock says they are
//! (Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_OFFSET).

use super::msrs::{self, TSC_DEADLINE};
use crate::kvm::Error;
use kvm_bindings::{
    KVM_CLOCK_HOST_TSC, KVM_VCPU_TSC_CTRL, KVM_VCPU_TSC_OFFSET, KVMIO, kvm_clock_data, kvm_device_attr,
};
use kvm_ioctls::{VcpuFd, VmFd};
use serde::{Deserialize, Serialize};
use std::io;
use vmm_sys_util::ioctl::{_IOC_WRITE, ioctl_expr, ioctl_with_ref};

// Of vCPUs the crates have these only for other processors.
const KVM_SET_DEVICE_ATTR: u64 = ioctl_expr(_IOC_WRITE, KVMIO, 0xe1, size_of::<kvm_device_attr>() as u32);
const KVM_GET_DEVICE_ATTR: u64 = ioctl_expr(_IOC_WRITE, KVMIO, 0xe2, size_of::<kvm_device_attr>() as u32);

/// A moment of guest time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kvm) struct Time {
    clock_ns: u64,
    tsc_khz: u32,
    vcpus: Vec<Counter>,
}

/// The time stamp counter of a vCPU, and the value of it at which its timer fires, 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counter {
    tsc: u64,
    deadline: u64,
}

impl Time {
    /// The time of a machine that has just come to stand still.
    ///
    /// # Errors
    /// [`Error::Call`]; a KVM before Linux 5.16 does not tell.
    pub(in crate::kvm) fn take(vm: &VmFd, vcpus: &[&VcpuFd]) -> Result<Self, Error> {
        let (clock_ns, host_tsc) = now(vm)?;
        let counter = |vcpu: &&VcpuFd| {
            let tsc = host_tsc.wrapping_add(offset(vcpu)?);
            Ok::<_, Error>(Counter { tsc, deadline: msrs::get(vcpu, TSC_DEADLINE)? })
        };
        let tsc_khz = vcpus.first().map_or(Ok(0), |vcpu| tsc_khz(vcpu))?;
        Ok(Self { clock_ns, tsc_khz, vcpus: vcpus.iter().map(counter).collect::<Result<_, _>>()? })
    }

    /// Before a machine with so many vCPUs has run.
    pub(super) fn zero(vcpus: usize) -> Self {
        Self { clock_ns: 0, tsc_khz: 0, vcpus: vec![Counter::default(); vcpus] }
    }

    /// How many vCPUs it is of.
    pub(in crate::kvm) fn vcpus(&self) -> usize {
        self.vcpus.len()
    }

    /// Sets the rate at which the counter of a vCPU counts, as far as KVM then does no more than to believe it.
    ///
    /// # Errors
    /// What KVM refused; [`Error::State`] where counters count at another rate.
    pub(super) fn put_rate(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        let here_khz = tsc_khz(vcpu)?;
        if here_khz == self.tsc_khz {
            return Ok(());
        }
        if !is_near(here_khz, self.tsc_khz) {
            let why =
                format!("time stamp counters counted {} kHz where it was taken, and {here_khz} here", self.tsc_khz);
            return Err(super::bad(why));
        }
        vcpu.set_tsc_khz(self.tsc_khz)
            .map_err(Error::call("set the rate of a vCPU's time stamp counter (KVM_SET_TSC_KHZ)"))
    }

    /// Makes this the time of a machine that is about to run.
    ///
    /// # Errors
    /// What KVM refused.
    pub(in crate::kvm) fn put(&self, vm: &VmFd, vcpus: &[&VcpuFd]) -> Result<(), Error> {
        let clock = kvm_clock_data { clock: self.clock_ns, ..Default::default() };
        vm.set_clock(&clock).map_err(Error::call("set the guest's clock (KVM_SET_CLOCK)"))?;
        let (clock_ns, host_tsc) = now(vm)?;
        let passed = self.ticks(clock_ns.saturating_sub(self.clock_ns));
        for (vcpu, counter) in vcpus.iter().zip(&self.vcpus) {
            set_offset(vcpu, counter.tsc.wrapping_add(passed).wrapping_sub(host_tsc))?;
        }
        for (vcpu, counter) in vcpus.iter().zip(&self.vcpus) {
            msrs::set(vcpu, &[(TSC_DEADLINE, counter.deadline)])?;
            // Tells the guest's watchdogs; refused where it does not use KVM's clock, and then there is nobody to be told.
            let _ = vcpu.kvmclock_ctrl();
        }
        Ok(())
    }

    fn ticks(&self, ns: u64) -> u64 {
        (u128::from(ns) * u128::from(self.tsc_khz) / 1_000_000) as u64
    }
}

/// The guest's clock, in nanoseconds, and the host's time stamp counter at the same moment.
fn now(vm: &VmFd) -> Result<(u64, u64), Error> {
    let clock = vm.get_clock().map_err(Error::call("read the guest's clock (KVM_GET_CLOCK)"))?;
    if clock.flags & KVM_CLOCK_HOST_TSC != 0 {
        return Ok((clock.clock, clock.host_tsc));
    }
    // A host whose own clock is another does not tell.
    // SAFETY: every processor with KVM has the instruction, and no kernel keeps it from programs that use KVM.
    Ok((clock.clock, unsafe { std::arch::x86_64::_rdtsc() }))
}

/// Whether two rates may be one that was measured twice, at two boots of a host. KVM scales counters that differ by more, if
/// the processor can (arch/x86/kvm/x86.c, tsc_tolerance_ppm).
fn is_near(one_khz: u32, other_khz: u32) -> bool {
    const PARTS: u32 = 4000;
    one_khz.abs_diff(other_khz) <= one_khz / PARTS
}

fn tsc_khz(vcpu: &VcpuFd) -> Result<u32, Error> {
    vcpu.get_tsc_khz().map_err(Error::call("read the rate of a vCPU's time stamp counter (KVM_GET_TSC_KHZ)"))
}

fn attribute(value: *mut u64) -> kvm_device_attr {
    let (group, attr) = (KVM_VCPU_TSC_CTRL, u64::from(KVM_VCPU_TSC_OFFSET));
    kvm_device_attr { group, attr, addr: value as u64, flags: 0 }
}

/// What is added to the host's counter.
fn offset(vcpu: &VcpuFd) -> Result<u64, Error> {
    let mut offset = 0;
    // SAFETY: KVM writes eight bytes to where the attribute says, which is `offset`.
    let done = unsafe { ioctl_with_ref(vcpu, KVM_GET_DEVICE_ATTR, &attribute(&raw mut offset)) };
    checked(done, "read where a vCPU's time stamp counter is (KVM_VCPU_TSC_OFFSET, since Linux 5.16)")?;
    Ok(offset)
}

fn set_offset(vcpu: &VcpuFd, mut offset: u64) -> Result<(), Error> {
    // SAFETY: KVM reads eight bytes from where the attribute says, which is `offset`.
    let done = unsafe { ioctl_with_ref(vcpu, KVM_SET_DEVICE_ATTR, &attribute(&raw mut offset)) };
    checked(done, "set a vCPU's time stamp counter (KVM_VCPU_TSC_OFFSET, since Linux 5.16)")
}

fn checked(done: i32, action: &'static str) -> Result<(), Error> {
    if done == 0 { Ok(()) } else { Err(Error::io(action)(io::Error::last_os_error())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_does_not_measure_its_rate_alike_twice() {
        assert!(is_near(2_994_372, 2_994_375) && is_near(2_994_375, 2_994_372) && is_near(2_000_000, 2_000_500));
        assert!(!is_near(2_000_000, 2_000_501) && !is_near(2_994_372, 2_596_120) && !is_near(2_994_372, 0));
    }

    #[test]
    fn ticks_follow_the_rate() {
        let time = |tsc_khz| Time { tsc_khz, ..Time::zero(1) };
        assert_eq!(time(2_500_000).ticks(1_000), 2_500);
        assert_eq!(time(0).ticks(1_000), 0);
    }
}
