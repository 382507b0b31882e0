//! A kernel uses its clock once it has one, rather than at the end of its boot.
//!
//! Until then all of its CPUs tick, idle ones too: with dozens of them on one CPU of the host, the ticks take all of it. The
//! variable that says so would be cleared by the kernel's first code, so the boot vCPU stops once, by a breakpoint of the
//! processor, where the kernel turns to its clocks (Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG).

use super::Error;
use crate::memory::GuestRam;
use crate::timers::{TimerCode, variable_gpa};
use kvm_bindings::{KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_USE_HW_BP, kvm_guest_debug};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

/// DR7 with breakpoint 0 on: its address is in DR0, and what counts is an instruction there (SDM volume 3, section 18.2.4).
const DR7: usize = 7;
const BREAKPOINT_0: u64 = 1 << 10 | 1 << 1;

/// Where to stop and what to write.
pub(super) struct EarlyClock {
    place_gva: u64,
    variable_gpa: u64,
    ram: GuestRam,
}

impl EarlyClock {
    /// `None` where the kernel's variable cannot be where it is said to be.
    pub(super) fn new(code: &TimerCode, ram: &GuestRam) -> Option<Self> {
        let variable_gpa = variable_gpa(code.finished_booting, ram.layout().low.bytes)?;
        Some(Self { place_gva: code.tsc_init, variable_gpa, ram: ram.clone() })
    }

    /// Sets the breakpoint of the boot vCPU.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn arm(&self, boot_vcpu: &VcpuFd) -> Result<(), Error> {
        let control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
        let mut debug = kvm_guest_debug { control, ..Default::default() };
        debug.arch.debugreg[0] = self.place_gva;
        debug.arch.debugreg[DR7] = BREAKPOINT_0;
        boot_vcpu.set_guest_debug(&debug).map_err(Error::call("set a breakpoint (KVM_SET_GUEST_DEBUG)"))
    }

    /// The vCPU is at the breakpoint: writes the variable and removes the breakpoint.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn reached(&self, boot_vcpu: &VcpuFd) -> Result<(), Error> {
        // A kernel that is not where its symbols say goes on without.
        let _ = self.ram.mapped().write_obj(1_u32, GuestAddress(self.variable_gpa));
        let none = kvm_guest_debug::default();
        boot_vcpu.set_guest_debug(&none).map_err(Error::call("remove a breakpoint (KVM_SET_GUEST_DEBUG)"))
    }
}
