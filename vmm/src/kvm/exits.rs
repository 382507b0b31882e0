//! What a vCPU that has a host CPU for itself need not leave its guest for.

use crate::placement::{Part, Plan, Report};
use kvm_bindings::{KVM_CAP_X86_DISABLE_EXITS, KVM_X86_DISABLE_EXITS_HLT, KVM_X86_DISABLE_EXITS_PAUSE, kvm_enable_cap};
use kvm_ioctls::{Kvm, VmFd};

/// Turns off the exits of HLT and PAUSE where the plan allows and the host can. Before any vCPU is made
/// (Documentation/virt/kvm/api.rst, KVM_CAP_X86_DISABLE_EXITS).
pub(super) fn turn_off(kvm: &Kvm, vm: &VmFd, plan: &Plan, report: &mut Report) {
    let offered = u32::try_from(kvm.check_extension_raw(u64::from(KVM_CAP_X86_DISABLE_EXITS))).unwrap_or(0);
    for (part, exit) in
        [(Part::NoHaltExits, KVM_X86_DISABLE_EXITS_HLT), (Part::NoPauseExits, KVM_X86_DISABLE_EXITS_PAUSE)]
    {
        let had = plan.may_keep_cpus().and_then(|()| turn_off_one(vm, offered, exit));
        report.book(part, had);
    }
}

fn turn_off_one(vm: &VmFd, offered: u32, exit: u32) -> Result<(), String> {
    if offered & exit == 0 {
        return Err(format!("the host's KVM cannot (KVM_CAP_X86_DISABLE_EXITS offers {offered:#x})"));
    }
    let mut capability = kvm_enable_cap { cap: KVM_CAP_X86_DISABLE_EXITS, ..Default::default() };
    capability.args[0] = u64::from(exit);
    vm.enable_cap(&capability).map_err(|error| format!("KVM_ENABLE_CAP of KVM_CAP_X86_DISABLE_EXITS failed: {error}"))
}
