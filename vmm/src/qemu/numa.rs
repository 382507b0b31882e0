//! The NUMA nodes of a machine as QEMU options: values in, words out.

use crate::access;
use ktstr_wire::Machine;

/// The values of the `-numa` options, for memory backends `ram0`, `ram1` and so on; none for a machine with one node.
pub(super) fn options(machine: &Machine) -> Vec<String> {
    if machine.nodes.len() == 1 {
        return Vec::new();
    }
    let differs = access::differs(machine);
    let nodes = (0..machine.nodes.len()).map(|node| {
        let initiator =
            if differs { format!(",initiator={}", access::initiator(machine, node)) } else { String::new() };
        format!("node,nodeid={node},memdev=ram{node}{initiator}")
    });
    let cpus =
        (0..machine.topology.llcs).map(|llc| format!("cpu,node-id={},socket-id={llc}", machine.node_of_llc(llc)));
    let mut options: Vec<String> = nodes.chain(cpus).collect();
    if differs {
        options.extend(distances(machine));
        options.extend(accesses(machine));
    }
    options
}

/// The default ones need not be said: neither side says them, and the kernel takes the same.
fn distances(machine: &Machine) -> impl Iterator<Item = String> {
    machine.distances.iter().enumerate().flat_map(|(src, row)| {
        row.iter().enumerate().map(move |(dst, val)| format!("dist,src={src},dst={dst},val={val}"))
    })
}

/// Latency and bandwidth for the HMAT.
fn accesses(machine: &Machine) -> impl Iterator<Item = String> {
    access::accesses(machine).flat_map(|(from, to, distance)| {
        let common = format!("hmat-lb,initiator={from},target={to},hierarchy=memory,data-type=access");
        let latency_ns = access::latency_ns(distance);
        let bandwidth_mib = access::bandwidth_mib(distance);
        [format!("{common}-latency,latency={latency_ns}"), format!("{common}-bandwidth,bandwidth={bandwidth_mib}M")]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    fn check(machine: &Machine, expected: &str) {
        assert_eq!(options(machine).join("\n"), expected);
    }

    #[test]
    fn nodes_become_options() {
        check(&Machine::new(Topology::new(2, 1, 1), 1 << 30), "");
        let machine =
            Machine::new(Topology { numa_nodes: 2, ..Topology::new(3, 1, 1) }, 1 << 30).with_node_llcs(&[1, 2]);
        check(
            &machine,
            "node,nodeid=0,memdev=ram0\nnode,nodeid=1,memdev=ram1\n\
             cpu,node-id=0,socket-id=0\ncpu,node-id=1,socket-id=1\ncpu,node-id=1,socket-id=2",
        );
    }

    #[test]
    fn distances_and_what_they_cost_become_options() {
        let machine = Machine::new(Topology::new(1, 1, 1), 1 << 30).with_memory_only_nodes(&[256 << 20]);
        check(
            &machine,
            "node,nodeid=0,memdev=ram0,initiator=0\nnode,nodeid=1,memdev=ram1,initiator=0\ncpu,node-id=0,socket-id=0\n\
             dist,src=0,dst=0,val=10\ndist,src=0,dst=1,val=20\ndist,src=1,dst=0,val=20\ndist,src=1,dst=1,val=10\n\
             hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-latency,latency=100\n\
             hmat-lb,initiator=0,target=0,hierarchy=memory,data-type=access-bandwidth,bandwidth=20480M\n\
             hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-latency,latency=200\n\
             hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-bandwidth,bandwidth=10240M",
        );
    }
}
