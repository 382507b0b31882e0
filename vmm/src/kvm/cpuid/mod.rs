//! What the vCPUs say they are: what the host's KVM supports, with the declared topology. Values in, values out.

mod amd;
mod apic_id;
mod common;
mod intel;
#[cfg(test)]
mod tests;

pub(crate) use apic_id::ApicIds;

use ktstr_wire::Topology;
use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};

/// Who made the processor: the two describe caches and topology differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vendor {
    Amd,
    Intel,
}

/// The leaves of a machine, without what differs between its vCPUs.
#[derive(Debug, Clone)]
pub(crate) struct CpuIdTemplate {
    leaves: Leaves,
    vendor: Vendor,
    ids: ApicIds,
}

impl CpuIdTemplate {
    /// From what KVM_GET_SUPPORTED_CPUID returned.
    pub(crate) fn new(supported: &[kvm_cpuid_entry2], topology: Topology) -> Self {
        let mut leaves = Leaves(supported.to_vec());
        let vendor = vendor(&leaves);
        let ids = ApicIds::new(topology);
        common::describe(&mut leaves, topology, &ids);
        match vendor {
            Vendor::Amd => amd::describe(&mut leaves, topology, &ids),
            Vendor::Intel => intel::describe(&mut leaves, &ids),
        }
        Self { leaves, vendor, ids }
    }

    /// With the hint that no vCPU is ever preempted.
    pub(crate) fn with_real_time_hint(mut self) -> Self {
        common::hint_real_time(&mut self.leaves);
        self
    }

    /// The leaves of one vCPU.
    pub(crate) fn for_cpu(&self, cpu: u32) -> Vec<kvm_cpuid_entry2> {
        let mut leaves = self.leaves.clone();
        let apic_id = self.ids.of_cpu(cpu);
        common::name_cpu(&mut leaves, apic_id);
        if self.vendor == Vendor::Amd {
            amd::name_cpu(&mut leaves, apic_id, &self.ids);
        }
        leaves.0
    }
}

/// Whether the leaves offer XSAVE (leaf 1, ECX bit 26).
pub(crate) fn has_xsave(leaves: &[kvm_cpuid_entry2]) -> bool {
    leaves.iter().any(|leaf| leaf.function == 1 && leaf.ecx & 1 << 26 != 0)
}

fn vendor(leaves: &Leaves) -> Vendor {
    let name: Vec<u8> = leaves
        .get(0, 0)
        .map_or_else(Vec::new, |leaf| [leaf.ebx, leaf.edx, leaf.ecx].into_iter().flat_map(u32::to_le_bytes).collect());
    if name == b"AuthenticAMD" || name == b"HygonGenuine" { Vendor::Amd } else { Vendor::Intel }
}

/// A set of leaves.
#[derive(Debug, Clone)]
struct Leaves(Vec<kvm_cpuid_entry2>);

impl Leaves {
    fn get(&self, function: u32, index: u32) -> Option<&kvm_cpuid_entry2> {
        self.0.iter().find(|leaf| leaf.function == function && leaf.index == index)
    }

    /// Changes a leaf if the host has it.
    fn change(&mut self, function: u32, index: u32, change: impl FnOnce(&mut kvm_cpuid_entry2)) {
        if let Some(leaf) = self.0.iter_mut().find(|leaf| leaf.function == function && leaf.index == index) {
            change(leaf);
        }
    }

    /// Changes a leaf, which is all zeros before if the host has none.
    fn set(&mut self, function: u32, index: u32, change: impl FnOnce(&mut kvm_cpuid_entry2)) {
        if self.get(function, index).is_none() {
            self.0.push(kvm_cpuid_entry2 { function, index, ..Default::default() });
        }
        self.change(function, index, change);
    }

    /// Replaces all subleaves of a leaf by these.
    fn replace(&mut self, function: u32, subleaves: impl IntoIterator<Item = [u32; 4]>) {
        self.remove(function);
        for (index, [eax, ebx, ecx, edx]) in (0..).zip(subleaves) {
            let flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
            self.0.push(kvm_cpuid_entry2 { function, index, flags, eax, ebx, ecx, edx, ..Default::default() });
        }
    }

    fn remove(&mut self, function: u32) {
        self.0.retain(|leaf| leaf.function != function);
    }

    /// Every subleaf of a leaf.
    fn subleaves(&mut self, function: u32) -> impl Iterator<Item = &mut kvm_cpuid_entry2> {
        self.0.iter_mut().filter(move |leaf| leaf.function == function)
    }
}
