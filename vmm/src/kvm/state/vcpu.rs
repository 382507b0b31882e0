//! One vCPU.

use super::msrs::Values;
use crate::kvm::Error;
use kvm_bindings::{
    kvm_debugregs, kvm_lapic_state, kvm_mp_state, kvm_regs, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{Cap, VcpuFd, VmFd};
use serde::{Deserialize, Serialize};

/// The state of a vCPU but for its time.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct VcpuState {
    mp_state: kvm_mp_state,
    regs: kvm_regs,
    sregs: kvm_sregs,
    xsave: kvm_xsave,
    /// Not where the host's processor lacks XSAVE.
    xcrs: Option<kvm_xcrs>,
    debug_regs: kvm_debugregs,
    lapic: kvm_lapic_state,
    msrs: Values,
    events: kvm_vcpu_events,
}

impl VcpuState {
    /// That of a vCPU that stands still, and of the registers that are listed.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn take(vcpu: &VcpuFd, msrs: &[u32]) -> Result<Self, Error> {
        // First, for it may take an INIT or a SIPI, which changes the rest. Events last, for the others may change them.
        let mp_state = vcpu.get_mp_state().map_err(Error::call("read whether a vCPU runs (KVM_GET_MP_STATE)"))?;
        Ok(Self {
            mp_state,
            regs: vcpu.get_regs().map_err(Error::call("read a vCPU's registers (KVM_GET_REGS)"))?,
            sregs: vcpu.get_sregs().map_err(Error::call("read a vCPU (KVM_GET_SREGS)"))?,
            xsave: vcpu.get_xsave().map_err(Error::call("read a vCPU's vectors (KVM_GET_XSAVE)"))?,
            xcrs: vcpu.get_xcrs().ok().filter(|xcrs| xcrs.nr_xcrs > 0),
            debug_regs: vcpu
                .get_debug_regs()
                .map_err(Error::call("read a vCPU's debug registers (KVM_GET_DEBUGREGS)"))?,
            lapic: vcpu.get_lapic().map_err(Error::call("read an interrupt controller (KVM_GET_LAPIC)"))?,
            msrs: Values::take(vcpu, msrs)?,
            events: vcpu.get_vcpu_events().map_err(Error::call("read a vCPU's events (KVM_GET_VCPU_EVENTS)"))?,
        })
    }

    /// Gives it to a vCPU that has its features.
    ///
    /// # Errors
    /// What KVM refused.
    pub(super) fn put(&self, vm: &VmFd, vcpu: &VcpuFd) -> Result<(), Error> {
        vcpu.set_mp_state(self.mp_state).map_err(Error::call("set whether a vCPU runs (KVM_SET_MP_STATE)"))?;
        vcpu.set_regs(&self.regs).map_err(Error::call("set a vCPU's registers (KVM_SET_REGS)"))?;
        vcpu.set_sregs(&self.sregs).map_err(Error::call("set a vCPU (KVM_SET_SREGS)"))?;
        self.put_vectors(vm, vcpu)?;
        vcpu.set_debug_regs(&self.debug_regs)
            .map_err(Error::call("set a vCPU's debug registers (KVM_SET_DEBUGREGS)"))?;
        // After the registers that say where it is, and before those that only it gives a meaning.
        vcpu.set_lapic(&self.lapic).map_err(Error::call("set an interrupt controller (KVM_SET_LAPIC)"))?;
        self.msrs.put(vcpu)?;
        // After the registers, at which KVM forgets exceptions.
        vcpu.set_vcpu_events(&self.events).map_err(Error::call("set a vCPU's events (KVM_SET_VCPU_EVENTS)"))
    }

    fn put_vectors(&self, vm: &VmFd, vcpu: &VcpuFd) -> Result<(), Error> {
        let needed = usize::try_from(vm.check_extension_int(Cap::Xsave2)).unwrap_or(0);
        if needed > size_of::<kvm_xsave>() {
            return Err(super::bad(format!("a vCPU here has {needed} bytes of vectors, more than are saved")));
        }
        // SAFETY: KVM reads no more than was just found to be there; one that does not know of larger ones reads as much.
        unsafe { vcpu.set_xsave(&self.xsave) }.map_err(Error::call("set a vCPU's vectors (KVM_SET_XSAVE)"))?;
        self.xcrs
            .as_ref()
            .map_or(Ok(()), |xcrs| vcpu.set_xcrs(xcrs))
            .map_err(Error::call("enable vectors (KVM_SET_XCRS)"))
    }
}
