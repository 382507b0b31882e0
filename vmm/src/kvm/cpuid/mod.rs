//! What the vCPUs say they are: what the host's KVM supports, with the declared topology. Values in, values out.

mod amd;
mod common;
mod intel;
mod model;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use model::Model;

use crate::apic_id::ApicIds;
use ktstr_wire::Topology;
use kvm_bindings::{KVM_CPUID_FLAG_SIGNIFCANT_INDEX, kvm_cpuid_entry2};
use model::Vendor;

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
        let model = model_of(supported);
        let (vendor, ids) = (model.vendor, apic_ids(model, topology));
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

/// The processor model that KVM_GET_SUPPORTED_CPUID told.
pub(crate) fn model_of(supported: &[kvm_cpuid_entry2]) -> Model {
    Model::of(&Leaves(supported.to_vec()))
}

/// The APIC ids of a machine whose processors are of this model.
pub(crate) fn apic_ids(model: Model, topology: Topology) -> ApicIds {
    ApicIds::new(topology).with_package_shift(model.fixed_llc_shift().unwrap_or(0))
}

/// Whether the leaves offer XSAVE (leaf 1, ECX bit 26).
pub(crate) fn has_xsave(leaves: &[kvm_cpuid_entry2]) -> bool {
    leaves.iter().any(|leaf| leaf.function == 1 && leaf.ecx & 1 << 26 != 0)
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
