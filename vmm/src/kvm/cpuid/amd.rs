//! Leaves of AMD's processors (APM volume 3, appendix E).

use super::Leaves;
use crate::apic_id::ApicIds;
use ktstr_wire::Topology;

const MAX_EXTENDED: u32 = 0x8000_0000;
const EXTENDED_FEATURES: u32 = 0x8000_0001;
const L2_L3: u32 = 0x8000_0006;
const SIZES: u32 = 0x8000_0008;
const CACHES: u32 = 0x8000_001d;
const TOPOLOGY: u32 = 0x8000_001e;
/// Of newer processors. Linux from 6.9 on prefers it, then leaf 0xB (arch/x86/kernel/cpu/topology_ext.c), so it says the same.
const TOPOLOGY_V2: u32 = 0x8000_0026;
/// Its levels: what a core, a core complex, a die and a socket hold.
const LEVELS: [u32; 4] = [1, 2, 3, 4];

const ECX_CMP_LEGACY: u32 = 1 << 1;
const ECX_SVM: u32 = 1 << 2;
const ECX_TOPOEXT: u32 = 1 << 22;
const ECX_PERFCTR: u32 = 1 << 23 | 1 << 24 | 1 << 28;

/// 32 blocks of 512 KiB, 16 ways, lines of 64 bytes: its being there says that there is an L3.
const L3_SIZE: u32 = 32 << 18 | 8 << 12 | 1 << 8 | 64;

/// One subleaf of [`CACHES`]: type and level, ways, sets; all lines have 64 bytes.
struct Cache {
    kind: u32,
    level: u32,
    ways: u32,
    sets: u32,
    /// EDX: bit 1, inclusive.
    edx: u32,
}

const DATA: u32 = 1;
const INSTRUCTION: u32 = 2;
const UNIFIED: u32 = 3;

/// What the guest has where the host does not say: 32 KiB, 32 KiB, 512 KiB and 16 MiB.
const DEFAULT_CACHES: [Cache; 4] = [
    Cache { kind: DATA, level: 1, ways: 8, sets: 64, edx: 0 },
    Cache { kind: INSTRUCTION, level: 1, ways: 8, sets: 64, edx: 0 },
    Cache { kind: UNIFIED, level: 2, ways: 8, sets: 1024, edx: 2 },
    Cache { kind: UNIFIED, level: 3, ways: 16, sets: 16384, edx: 0 },
];

/// Topology and caches of the machine.
pub(super) fn describe(leaves: &mut Leaves, topology: Topology, ids: &ApicIds) {
    leaves.set(MAX_EXTENDED, 0, |leaf| leaf.eax = leaf.eax.max(TOPOLOGY_V2));
    leaves.set(EXTENDED_FEATURES, 0, |leaf| {
        leaf.ecx = (leaf.ecx | ECX_TOPOEXT) & !(ECX_SVM | ECX_PERFCTR);
        let several = topology.cpus_per_llc() > 1;
        leaf.ecx = if several { leaf.ecx | ECX_CMP_LEGACY } else { leaf.ecx & !ECX_CMP_LEGACY };
    });
    leaves.set(L2_L3, 0, |leaf| {
        if leaf.edx == 0 {
            leaf.edx = L3_SIZE;
        }
    });
    leaves.set(SIZES, 0, |leaf| {
        let threads = (topology.cpus_per_llc() - 1).min(0xff);
        leaf.ecx = (leaf.ecx & !0xf0ff) | ids.package_shift << 12 | threads;
    });
    describe_caches(leaves, ids);
    leaves.replace(TOPOLOGY_V2, levels(topology, ids));
    leaves.replace(TOPOLOGY, [[0, (topology.threads_per_core - 1) << 8, 0, 0]]);
}

/// A core has its threads; a core complex, its die and its socket have the CPUs of one LLC: bits below the next level's
/// number, logical CPUs in one of this level, level number and type.
fn levels(topology: Topology, ids: &ApicIds) -> impl Iterator<Item = [u32; 4]> {
    let level = move |(number, kind): (u32, u32)| match number {
        0 => [ids.core_shift, topology.threads_per_core, kind << 8, 0],
        _ => [ids.package_shift, topology.cpus_per_llc(), number | kind << 8, 0],
    };
    (0..).zip(LEVELS).map(level).chain([[0, 0, LEVELS.len() as u32, 0]])
}

fn describe_caches(leaves: &mut Leaves, ids: &ApicIds) {
    let host_says_l3 = leaves.subleaves(CACHES).any(|leaf| leaf.eax & 0x1f != 0 && leaf.eax >> 5 & 7 == 3);
    if !host_says_l3 {
        let subleaves = DEFAULT_CACHES.iter().map(Cache::registers).chain([[0; 4]]);
        leaves.replace(CACHES, subleaves);
    }
    for leaf in leaves.subleaves(CACHES).filter(|leaf| leaf.eax & 0x1f != 0) {
        let level = leaf.eax >> 5 & 7;
        let shift = if level >= 3 { ids.package_shift } else { ids.core_shift };
        leaf.eax = (leaf.eax & 0x3fff) | ((1 << shift) - 1) << 14;
    }
}

impl Cache {
    fn registers(&self) -> [u32; 4] {
        const SELF_INITIALIZING: u32 = 1 << 8;
        let eax = self.kind | self.level << 5 | SELF_INITIALIZING;
        [eax, (self.ways - 1) << 22 | 63, self.sets - 1, self.edx]
    }
}

/// What differs between the vCPUs: APIC id, core number in the package, and the node, one for each package.
pub(super) fn name_cpu(leaves: &mut Leaves, apic_id: u32, ids: &ApicIds) {
    let package = apic_id >> ids.package_shift;
    let core = (apic_id >> ids.core_shift) & ((1 << (ids.package_shift - ids.core_shift)) - 1);
    leaves.subleaves(TOPOLOGY_V2).for_each(|leaf| leaf.edx = apic_id);
    leaves.change(TOPOLOGY, 0, |leaf| {
        leaf.eax = apic_id;
        leaf.ebx = (leaf.ebx & 0xff00) | (core & 0xff);
        leaf.ecx = package & 0xff;
    });
}
