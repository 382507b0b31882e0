//! How fast each node's memory is for each node's CPUs (ACPI 6.5, section 5.2.28).

use super::table;
use crate::access;
use acpi_tables::sdt::Sdt;
use ktstr_wire::Machine;

/// Latencies are in picoseconds from this revision on.
const REVISION: u8 = 2;

const ATTRIBUTES: u16 = 0;
const ATTRIBUTES_BYTES: u32 = 40;
/// The node of the nearest CPUs is told.
const INITIATOR_VALID: u16 = 1;

const LATENCY_BANDWIDTH: u16 = 1;
/// Without the lists and the entries.
const LATENCY_BANDWIDTH_BYTES: usize = 32;
/// Data types, of memory without a cache of its own.
const ACCESS_LATENCY: u8 = 0;
const ACCESS_BANDWIDTH: u8 = 3;

/// One nanosecond, and one MiB/s.
const LATENCY_UNIT_PS: u64 = 1000;
const BANDWIDTH_UNIT_MIB: u64 = 1;

/// The heterogeneous memory attribute table.
pub(super) fn build(machine: &Machine) -> Sdt {
    let mut body = vec![0; 4];
    for node in 0..machine.nodes.len() {
        body.extend(attributes(access::initiator(machine, node) as u32, node as u32));
    }
    body.extend(matrix(machine, ACCESS_LATENCY, LATENCY_UNIT_PS, access::latency_ns));
    body.extend(matrix(machine, ACCESS_BANDWIDTH, BANDWIDTH_UNIT_MIB, access::bandwidth_mib));
    let mut hmat = table(*b"HMAT", REVISION);
    hmat.append_slice(&body);
    hmat
}

/// Whose CPUs are nearest to a node's memory.
fn attributes(initiator: u32, node: u32) -> Vec<u8> {
    let mut bytes = header(ATTRIBUTES, ATTRIBUTES_BYTES);
    bytes.extend([INITIATOR_VALID, 0].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend([initiator, node].into_iter().flat_map(u32::to_le_bytes));
    bytes.resize(ATTRIBUTES_BYTES as usize, 0);
    bytes
}

/// One figure for each node with CPUs and each node with memory.
fn matrix(machine: &Machine, data_type: u8, unit: u64, of_distance: impl Fn(u8) -> u32) -> Vec<u8> {
    let (initiators, targets) = (machine.topology.numa_nodes, machine.nodes.len() as u32);
    let entries: Vec<u16> = access::accesses(machine).map(|(.., distance)| of_distance(distance) as u16).collect();
    let length = LATENCY_BANDWIDTH_BYTES + 4 * (initiators + targets) as usize + 2 * entries.len();
    let mut bytes = header(LATENCY_BANDWIDTH, length as u32);
    bytes.extend([0, data_type, 0, 0]);
    bytes.extend([initiators, targets, 0].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend(unit.to_le_bytes());
    bytes.extend((0..initiators).chain(0..targets).flat_map(u32::to_le_bytes));
    bytes.extend(entries.into_iter().flat_map(u16::to_le_bytes));
    bytes
}

fn header(kind: u16, length: u32) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &[0; 2], &length.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    /// The structures, cut apart as drivers/acpi/numa/hmat.c does: type, then the rest.
    fn structures(machine: &Machine) -> Vec<(u16, Vec<u8>)> {
        let hmat = build(machine);
        let (bytes, mut at, mut found) = (hmat.as_slice(), 40, Vec::new());
        while at < bytes.len() {
            let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            let kind = u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
            found.push((kind, bytes[at + 8..at + length].to_vec()));
            at += length;
        }
        assert_eq!(at, bytes.len());
        found
    }

    #[test]
    fn linux_reads_who_is_how_far() {
        let machine = Machine::new(Topology { numa_nodes: 2, ..Topology::new(2, 1, 1) }, 1 << 30)
            .with_memory_only_nodes(&[256 << 20])
            .with_distances(vec![vec![10, 20, 40], vec![20, 10, 30], vec![40, 30, 10]]);
        let found = structures(&machine);
        assert_eq!(found.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [0, 0, 0, 1, 1]);
        let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let nearest: Vec<_> = found[..3].iter().map(|(_, bytes)| (bytes[0], word(bytes, 4), word(bytes, 8))).collect();
        assert_eq!(nearest, [(1, 0, 0), (1, 1, 1), (1, 1, 2)]);
        for ((_, bytes), data_type, unit, expected) in [
            (&found[3], ACCESS_LATENCY, 1000, [100_u16, 200, 400, 200, 100, 300]),
            (&found[4], ACCESS_BANDWIDTH, 1, [20480, 10240, 5120, 10240, 20480, 6826]),
        ] {
            assert_eq!((bytes[0], bytes[1], word(bytes, 4), word(bytes, 8)), (0, data_type, 2, 3));
            assert_eq!(bytes[16..24], u64::to_le_bytes(unit));
            assert_eq!((24..44).step_by(4).map(|at| word(bytes, at)).collect::<Vec<_>>(), [0, 1, 0, 1, 2]);
            let entries: Vec<u16> =
                bytes[44..].chunks(2).map(|entry| u16::from_le_bytes([entry[0], entry[1]])).collect();
            assert_eq!(entries, expected);
        }
    }

    #[test]
    fn every_figure_fits_its_entry() {
        for distance in Machine::LOCAL_DISTANCE..=Machine::MAX_DISTANCE {
            // 0xffff says that there is no such way.
            assert!(access::latency_ns(distance) < 0xffff && (1..0xffff).contains(&access::bandwidth_mib(distance)));
        }
    }
}
