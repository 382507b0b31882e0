//! Which CPUs and which RAM belong to which NUMA node, and how far nodes are apart (ACPI 6.5, sections 5.2.16, 5.2.17).

use super::table;
use crate::apic_id::ApicIds;
use crate::layout::NodeRange;
use acpi_tables::sdt::Sdt;
use ktstr_wire::Machine;

const SRAT_REVISION: u8 = 3;
const SLIT_REVISION: u8 = 1;
const MEMORY: u8 = 1;
const X2APIC: u8 = 2;
const ENABLED: u32 = 1;

/// The static resource affinity table.
pub(super) fn affinities(machine: &Machine, ids: &ApicIds, memory: &[NodeRange]) -> Sdt {
    let mut body = [1_u32.to_le_bytes().as_slice(), &[0; 8]].concat();
    for (cpu, id) in (0..).zip(ids.all()) {
        body.extend([X2APIC, 24, 0, 0]);
        body.extend([machine.node_of_cpu(cpu), id, ENABLED, 0, 0].into_iter().flat_map(u32::to_le_bytes));
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
pub(super) fn distances(machine: &Machine) -> Sdt {
    let mut body = (machine.distances.len() as u64).to_le_bytes().to_vec();
    body.extend(machine.distances.iter().flatten());
    let mut slit = table(*b"SLIT", SLIT_REVISION);
    slit.append_slice(&body);
    slit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Range;
    use ktstr_wire::Topology;

    #[test]
    fn cpus_and_ram_have_their_node() {
        let topology = Topology { numa_nodes: 2, ..Topology::new(2, 1, 2) };
        let memory = [NodeRange { node: 1, range: Range { gpa: 0x1000, bytes: 0x2000 } }];
        let srat = affinities(&Machine::new(topology, 1 << 30), &ApicIds::new(topology), &memory);
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
    fn distances_are_as_declared() {
        let machine = Machine::new(Topology { numa_nodes: 2, ..Topology::new(2, 1, 1) }, 1 << 30);
        assert_eq!(distances(&machine).as_slice()[36..], [2, 0, 0, 0, 0, 0, 0, 0, 10, 20, 20, 10]);
        let machine = machine.with_distances(vec![vec![10, 31], vec![21, 10]]);
        assert_eq!(distances(&machine).as_slice()[44..], [10, 31, 21, 10]);
    }
}
