//! How fast a node's memory is for a node's CPUs, told from their distance. Both backends say it in the same words (ACPI
//! 6.5, section 5.2.28), from which Linux makes memory tiers: which memory is slow, and where cold pages go.

use ktstr_wire::Machine;

/// Latency of a node's own memory.
const LOCAL_LATENCY_NS: u32 = 100;
/// Bandwidth of a node's own memory.
const LOCAL_BANDWIDTH_MIB: u32 = 20 << 10;

/// Whether there is more to say than that every other node is remote.
pub(crate) fn differs(machine: &Machine) -> bool {
    let nodes = machine.nodes.len();
    let remote = Machine::REMOTE_DISTANCE;
    nodes as u32 > machine.topology.numa_nodes
        || pairs(machine, nodes).any(|(from, to, distance)| from != to && distance != remote)
}

/// Every node that has CPUs, with every node, and their distance.
pub(crate) fn accesses(machine: &Machine) -> impl Iterator<Item = (usize, usize, u8)> {
    pairs(machine, machine.topology.numa_nodes as usize)
}

/// The first `from` nodes with every node, and their distance.
fn pairs(machine: &Machine, from: usize) -> impl Iterator<Item = (usize, usize, u8)> {
    let rows = machine.distances.iter().take(from).enumerate();
    rows.flat_map(|(from, row)| row.iter().enumerate().map(move |(to, distance)| (from, to, *distance)))
}

/// The node with CPUs that a node's memory is nearest to: itself, if it has some.
pub(crate) fn initiator(machine: &Machine, node: usize) -> usize {
    accesses(machine)
        .filter(|(_, to, _)| *to == node)
        .min_by_key(|(_, _, distance)| *distance)
        .map_or(0, |(from, ..)| from)
}

/// Latency over a distance.
pub(crate) fn latency_ns(distance: u8) -> u32 {
    LOCAL_LATENCY_NS * u32::from(distance) / u32::from(Machine::LOCAL_DISTANCE)
}

/// Bandwidth over a distance, in MiB/s.
pub(crate) fn bandwidth_mib(distance: u8) -> u32 {
    LOCAL_BANDWIDTH_MIB * u32::from(Machine::LOCAL_DISTANCE) / u32::from(distance.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    #[test]
    fn memory_belongs_to_the_nearest_cpus() {
        let two = Machine::new(Topology { numa_nodes: 2, ..Topology::new(2, 1, 1) }, 1 << 30);
        assert!(!differs(&two));
        let three = two.with_memory_only_nodes(&[256 << 20]);
        assert!(differs(&three));
        assert_eq!((0..3).map(|node| initiator(&three, node)).collect::<Vec<_>>(), [0, 1, 0]);
        let three = three.with_distances(vec![vec![10, 21, 40], vec![21, 10, 30], vec![40, 30, 10]]);
        assert_eq!((0..3).map(|node| initiator(&three, node)).collect::<Vec<_>>(), [0, 1, 1]);
        assert_eq!(accesses(&three).count(), 6);
    }

    #[test]
    fn what_is_farther_is_slower() {
        assert_eq!((latency_ns(10), latency_ns(21), latency_ns(254)), (100, 210, 2540));
        assert_eq!((bandwidth_mib(10), bandwidth_mib(20), bandwidth_mib(254)), (20480, 10240, 806));
    }
}
