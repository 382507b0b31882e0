//! Leaves of Intel's processors (SDM volume 2, CPUID).

use super::Leaves;
use super::common::STRUCTURED_FEATURES;
use crate::apic_id::ApicIds;

const CACHES: u32 = 4;
const HYBRID: u32 = 0x1a;
/// Leaf 0x1F, which is preferred to 0xB where it exists.
pub(super) const TOPOLOGY_V2: u32 = 0x1f;

const EDX_HYBRID: u32 = 1 << 15;

const CACHE_NONE: u32 = 0;
const L3_SUBLEAF: u32 = 3;
/// A unified, self-initializing cache of level 3.
const L3_EAX: u32 = 3 | 3 << 5 | 1 << 8;
/// 16 ways, one partition, lines of 64 bytes.
const L3_EBX: u32 = 15 << 22 | 63;
/// 16384 sets: 16 MiB.
const L3_ECX: u32 = 16383;

/// Topology and caches of the machine.
pub(super) fn describe(leaves: &mut Leaves, ids: &ApicIds) {
    if leaves.get(TOPOLOGY_V2, 0).is_some() {
        let levels: Vec<_> = leaves.0.iter().filter(|leaf| leaf.function == super::common::TOPOLOGY).copied().collect();
        leaves.replace(TOPOLOGY_V2, levels.iter().map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]));
    }
    // One kind of core: which of the host's the description was taken from is chance.
    leaves.change(STRUCTURED_FEATURES, 0, |leaf| leaf.edx &= !EDX_HYBRID);
    leaves.remove(HYBRID);
    add_missing_l3(leaves);
    for leaf in leaves.subleaves(CACHES).filter(|leaf| leaf.eax & 0x1f != CACHE_NONE) {
        let level = leaf.eax >> 5 & 7;
        let shared_shift = if level >= 3 { ids.package_shift } else { ids.core_shift };
        leaf.eax = (leaf.eax & 0x3fff) | id_count(shared_shift, 0xfff) << 14;
        leaf.eax |= id_count(ids.package_shift - ids.core_shift, 0x3f) << 26;
    }
}

/// 2 to this power, less 1, as far as the field goes.
fn id_count(shift: u32, most: u32) -> u32 {
    ((1 << shift) - 1_u32).min(most)
}

/// Some hosts have no L3; the guest has one for each LLC.
fn add_missing_l3(leaves: &mut Leaves) {
    let has_l3 = leaves.subleaves(CACHES).any(|leaf| leaf.eax & 0x1f != CACHE_NONE && leaf.eax >> 5 & 7 == 3);
    if has_l3 {
        return;
    }
    let mut caches: Vec<[u32; 4]> = leaves
        .subleaves(CACHES)
        .filter(|leaf| leaf.eax & 0x1f != CACHE_NONE)
        .map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx])
        .take(L3_SUBLEAF as usize)
        .collect();
    caches.extend([[L3_EAX, L3_EBX, L3_ECX, 0], [0; 4]]);
    leaves.replace(CACHES, caches);
    leaves.set(0, 0, |leaf| leaf.eax = leaf.eax.max(CACHES));
}
