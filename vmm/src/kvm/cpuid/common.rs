//! Leaves that Intel's and AMD's processors share.

use super::Leaves;
use crate::apic_id::ApicIds;
use ktstr_wire::Topology;

const FEATURES: u32 = 1;
pub(super) const STRUCTURED_FEATURES: u32 = 7;
const PERFORMANCE_COUNTERS: u32 = 0xa;
pub(super) const TOPOLOGY: u32 = 0xb;
const KVM_FEATURES: u32 = 0x4000_0001;

const ECX_VMX: u32 = 1 << 5;
const ECX_X2APIC: u32 = 1 << 21;
const ECX_TSC_DEADLINE: u32 = 1 << 24;
const ECX_HYPERVISOR: u32 = 1 << 31;
/// Leaf 7.
const ECX_PKU: u32 = 1 << 3;
const ECX_OSPKE: u32 = 1 << 4;
const EDX_HTT: u32 = 1 << 28;

/// Level types of leaf 0xB (SDM volume 2, CPUID).
const LEVEL_THREAD: u32 = 1;
const LEVEL_CORE: u32 = 2;

/// Page faults of the host that are handed to the guest: it would run other tasks meanwhile, which no bare machine does
/// (Documentation/virt/kvm/x86/cpuid.rst).
const KVM_ASYNC_PAGE_FAULT: u32 = 1 << 4 | 1 << 10 | 1 << 14;
/// Interrupts can be sent to APIC ids above 254 without interrupt remapping.
const KVM_MSI_EXT_DEST_ID: u32 = 1 << 15;
/// KVM_HINTS_REALTIME, in EDX: the guest may spin where it would otherwise give its CPU away.
const KVM_HINT_REAL_TIME: u32 = 1;
/// The highest APIC id that needs no such thing.
const MAX_PLAIN_APIC_ID: u32 = 254;

/// Features and topology of the machine.
pub(super) fn describe(leaves: &mut Leaves, topology: Topology, ids: &ApicIds) {
    let package_ids = 1 << ids.package_shift;
    leaves.set(FEATURES, 0, |leaf| {
        // Not in what KVM reports, though it has both: without the first the guest believes that it is on bare metal,
        // without the second it must calibrate its timer. Nested virtualization is of no use in a test.
        leaf.ecx = (leaf.ecx | ECX_HYPERVISOR | ECX_TSC_DEADLINE | ECX_X2APIC) & !ECX_VMX;
        leaf.ebx = (leaf.ebx & 0xff00) | u32::min(package_ids, 0xff) << 16;
        leaf.edx = if topology.cpus_per_llc() > 1 { leaf.edx | EDX_HTT } else { leaf.edx & !EDX_HTT };
    });
    // Protection keys are kept with XSAVE; a kernel that finds one without the other warns.
    if !super::has_xsave(&leaves.0) {
        leaves.change(STRUCTURED_FEATURES, 0, |leaf| leaf.ecx &= !(ECX_PKU | ECX_OSPKE));
    }
    // The guest would spend a counter, and exits, on its lockup detector.
    leaves.change(PERFORMANCE_COUNTERS, 0, |leaf| (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (0, 0, 0, 0));
    leaves.replace(TOPOLOGY, levels(topology, ids));
    leaves.change(KVM_FEATURES, 0, |leaf| {
        leaf.eax &= !KVM_ASYNC_PAGE_FAULT;
        if ids.max() > MAX_PLAIN_APIC_ID {
            leaf.eax |= KVM_MSI_EXT_DEST_ID;
        }
    });
    // Leaf 0 says how far the basic leaves go.
    leaves.set(0, 0, |leaf| leaf.eax = leaf.eax.max(TOPOLOGY));
}

/// The levels of leaves 0xB and 0x1F: bits below the next level's number, logical CPUs in one of this level, level
/// number and type.
pub(super) fn levels(topology: Topology, ids: &ApicIds) -> [[u32; 4]; 3] {
    [
        [ids.core_shift, topology.threads_per_core, LEVEL_THREAD << 8, 0],
        [ids.package_shift, topology.cpus_per_llc(), 1 | LEVEL_CORE << 8, 0],
        [0, 0, 2, 0],
    ]
}

/// The hint that no vCPU is ever preempted.
pub(super) fn hint_real_time(leaves: &mut Leaves) {
    leaves.change(KVM_FEATURES, 0, |leaf| leaf.edx |= KVM_HINT_REAL_TIME);
}

/// What differs between the vCPUs.
pub(super) fn name_cpu(leaves: &mut Leaves, apic_id: u32) {
    leaves.change(FEATURES, 0, |leaf| leaf.ebx = (leaf.ebx & 0x00ff_ffff) | (apic_id & 0xff) << 24);
    for function in [TOPOLOGY, super::intel::TOPOLOGY_V2] {
        leaves.subleaves(function).for_each(|leaf| leaf.edx = apic_id);
    }
}
