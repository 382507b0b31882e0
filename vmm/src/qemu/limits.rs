//! Which machines QEMU can emulate here. Values in, values out.

use super::Error;
use crate::access;
use crate::apic_id::ApicIds;
use ktstr_wire::Machine;

/// The highest APIC id that needs no x2APIC. Before 9.0 QEMU emulates none. Since, Linux uses it where there is an IOMMU that
/// remaps interrupts (`-device intel-iommu,intremap=on,eim=on`, on the q35 machine); but then the timer of each CPU is a
/// register of the processor, and at the first write to it QEMU 10.0 and 11.1 end with "Bad icount read" where instructions
/// are counted, unless each is translated by itself (`one-insn-per-tb=on`), which took seven times as long to boot.
const MAX_APIC_ID: u32 = 254;

/// QEMU has no more (include/system/numa.h, MAX_NODES).
const MAX_NODES: usize = 128;

/// Where the distance of every two nodes is an option, and what it costs two more, the command line of more nodes is longer
/// than Linux takes (execve(2), "Limits on size of arguments and environment").
const MAX_TOLD_NODES: usize = 64;

/// Checks that QEMU can be told of this machine.
///
/// # Errors
/// [`Error::ApicIds`], [`Error::Nodes`].
pub(crate) fn check(machine: &Machine) -> Result<(), Error> {
    let topology = machine.topology;
    let highest = ApicIds::new(topology).max();
    if highest > MAX_APIC_ID {
        let nearest = topology.nearest_that(|topology| ApicIds::new(topology).max() <= MAX_APIC_ID);
        return Err(Error::ApicIds { topology, highest, limit: MAX_APIC_ID, nearest });
    }
    let (nodes, limit) = (machine.nodes.len(), if access::differs(machine) { MAX_TOLD_NODES } else { MAX_NODES });
    if nodes > limit { Err(Error::Nodes { nodes, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    fn check_topology(topology: Topology, change: impl FnOnce(Machine) -> Machine, expected: Result<(), &str>) {
        let got = check(&change(Machine::new(topology, 1 << 34))).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(got, Ok(()), "{topology}"),
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{got:?}"),
        }
    }

    #[test]
    fn refuses_what_cannot_be_emulated_and_says_what_can() {
        let same = |machine| machine;
        check_topology(Topology::new(15, 8, 2), same, Ok(()));
        check_topology(Topology::new(255, 1, 1), same, Ok(()));
        check_topology(Topology::new(14, 9, 2), same, Err("the nearest that works is 1,14,8,2"));
        check_topology(Topology::new(1, 256, 1), same, Err("the nearest that works is 1,1,255,1"));
        let nodes = |numa_nodes| Topology { numa_nodes, ..Topology::new(200, 1, 1) };
        check_topology(nodes(128), same, Ok(()));
        check_topology(nodes(129), same, Err("129 NUMA nodes are more than the 128"));
        let with_another = |machine: Machine| machine.with_memory_only_nodes(&[1 << 30]);
        check_topology(nodes(63), with_another, Ok(()));
        check_topology(nodes(64), with_another, Err("65 NUMA nodes are more than the 64"));
    }
}
