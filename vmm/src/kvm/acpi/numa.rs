//! Which CPUs and which RAM belong to which NUMA node, and how far nodes are apart (ACPI 6.5, sections 5.2.16, 5.2.17).

use super::table;
use crate::kvm::cpuid::ApicIds;
use crate::layout::NodeRange;
use acpi_tables::sdt::Sdt;
use ktstr_wire::Topology;

const SRAT_REVISION: u8 = 3;
const SLIT_REVISION: u8 = 1;
const MEMORY: u8 = 1;
const X2APIC: u8 = 2;
const ENABLED: u32 = 1;
const LOCAL_DISTANCE: u8 = 10;
const REMOTE_DISTANCE: u8 = 20;

/// The static resource affinity table.
pub(super) fn affinities(topology: Topology, ids: &ApicIds, memory: &[NodeRange]) -> Sdt {
    let mut body = [1_u32.to_le_bytes().as_slice(), &[0; 8]].concat();
    for (cpu, id) in (0..).zip(ids.all()) {
        let node = topology.node_of_llc(cpu / topology.cpus_per_llc());
        body.extend([X2APIC, 24, 0, 0]);
        body.extend([node, id, ENABLED, 0, 0].into_iter().flat_map(u32::to_le_bytes));
    }
    for NodeRange { node, range } in memory {
        body.extend([MEMORY, 40]);
        body.extend(node.to_le_bytes());
        body.extend([0; 2]);
        body.extend([range.gpa, range.bytes].into_iter().flat_map(u64::to_le_bytes));
        body.extend([0, ENABLED, 0, 0].into_iter().flat_map(u32::to_le_bytes));
    }
    let mut srat = table(*b"SRAT", SRAT_REVISION);
    srat.append_slice(&body);
    srat
}

/// The system locality distance table.
pub(super) fn distances(nodes: u32) -> Sdt {
    let mut body = u64::from(nodes).to_le_bytes().to_vec();
    for from in 0..nodes {
        body.extend((0..nodes).map(|to| if from == to { LOCAL_DISTANCE } else { REMOTE_DISTANCE }));
    }
    let mut slit = table(*b"SLIT", SLIT_REVISION);
    slit.append_slice(&body);
    slit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Range;

    #[test]
    fn cpus_and_ram_have_their_node() {
        let topology = Topology { numa_nodes: 2, ..Topology::new(2, 1, 2) };
        let memory = [NodeRange { node: 1, range: Range { gpa: 0x1000, bytes: 0x2000 } }];
        let srat = affinities(topology, &ApicIds::new(topology), &memory);
        let bytes = srat.as_slice();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let cpus: Vec<_> =
            (0..4).map(|cpu| 48 + cpu * 24).map(|at| (word(at + 4), word(at + 8), word(at + 12))).collect();
        assert_eq!(cpus, [(0, 0, 1), (0, 1, 1), (1, 2, 1), (1, 3, 1)]);
        let at = 48 + 4 * 24;
        assert_eq!(
            (bytes[at], bytes[at + 1], word(at + 2), word(at + 8), word(at + 16), word(at + 28)),
            (1, 40, 1, 0x1000, 0x2000, 1)
        );
        assert_eq!(bytes.len(), at + 40);
    }

    #[test]
    fn a_node_is_nearest_to_itself() {
        assert_eq!(distances(2).as_slice()[44..], [10, 20, 20, 10]);
    }
}
