//! The declared machine: CPUs, NUMA nodes, the memory of each, and how far they are apart.

use crate::topology::{Topology, TopologyError};
use serde::{Deserialize, Serialize};

/// A machine as a test declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// CPUs. Its `numa_nodes` counts the nodes that have some.
    pub topology: Topology,
    /// NUMA nodes by number: first those with LLCs, behind them those with nothing but memory.
    pub nodes: Vec<Node>,
    /// `distances[from][to]`, in tenths of the distance of a node from itself (ACPI 6.5, section 5.2.17).
    pub distances: Vec<Vec<u8>>,
}

/// One NUMA node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its LLCs, which follow those of the nodes before it; 0 for a node with nothing but memory.
    pub llcs: u32,
    /// Its RAM.
    pub memory_bytes: u64,
}

/// Why a machine cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// The counts of CPUs.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// As many nodes as LLCs or memory were given for are not the declared ones.
    #[error("{given} nodes with CPUs are described and topology {topology} has {}", topology.numa_nodes)]
    NodeCount {
        /// Nodes that are described.
        given: usize,
        /// The topology as given.
        topology: Topology,
    },
    /// LLCs by node are not the declared number, or a node has none.
    #[error(
        "LLCs by node, {given:?}, do not divide the {} of topology {topology}, each node having at least one: the \
         nearest that works is {nearest:?}",
        topology.llcs
    )]
    NodeLlcs {
        /// LLCs of each node, as given.
        given: Vec<u32>,
        /// The topology as given.
        topology: Topology,
        /// LLCs spread evenly.
        nearest: Vec<u32>,
    },
    /// A node's memory is nothing, or no whole number of steps.
    #[error(
        "node {node} cannot have {bytes} bytes of memory: it comes in steps of {} MiB, and the nearest that works is {} MiB",
        Machine::MEMORY_STEP_BYTES >> 20,
        nearest_bytes >> 20
    )]
    NodeMemory {
        /// The node.
        node: usize,
        /// As given.
        bytes: u64,
        /// What works.
        nearest_bytes: u64,
    },
    /// More memory than can be addressed.
    #[error("the nodes have more than {} GiB of memory together, the most that a machine may have", Machine::MAX_MEMORY_BYTES >> 30)]
    TooMuchMemory,
    /// The distances are no square of the nodes.
    #[error(
        "distances have {rows} rows, the one of node {row} {columns} columns, and the machine has {nodes} nodes, those \
         without CPUs included: {nodes} rows of {nodes} are needed"
    )]
    DistanceShape {
        /// Rows as given.
        rows: usize,
        /// The first row that does not fit, 0 if all do.
        row: usize,
        /// Its columns.
        columns: usize,
        /// Nodes of the machine.
        nodes: usize,
    },
    /// A node is not at the local distance from itself.
    #[error(
        "node {node} is {found} from itself: the kernel takes no distances unless that is {}",
        Machine::LOCAL_DISTANCE
    )]
    LocalDistance {
        /// The node.
        node: usize,
        /// As given.
        found: u8,
    },
    /// Two nodes are as near as one, or out of reach.
    #[error(
        "node {to} is {found} from node {from}: between nodes the kernel takes {} to {}, and the nearest is {nearest}",
        Machine::LOCAL_DISTANCE + 1,
        Machine::MAX_DISTANCE
    )]
    RemoteDistance {
        /// The node that accesses.
        from: usize,
        /// The node whose memory is accessed.
        to: usize,
        /// As given.
        found: u8,
        /// What works.
        nearest: u8,
    },
}

impl Machine {
    /// Distance of a node from itself.
    pub const LOCAL_DISTANCE: u8 = 10;
    /// Distance of two nodes when nothing is said (include/linux/topology.h, REMOTE_DISTANCE).
    pub const REMOTE_DISTANCE: u8 = 20;
    /// The largest distance; the next value means that a node cannot be reached at all.
    pub const MAX_DISTANCE: u8 = 254;
    /// A node's memory is a multiple of this, a large page.
    pub const MEMORY_STEP_BYTES: u64 = 2 << 20;
    /// What can be addressed with 40 bits, which every processor model has, and half of it left for devices.
    pub const MAX_MEMORY_BYTES: u64 = 1 << 39;

    /// A machine whose LLCs and memory are spread evenly over its nodes: the first ones have one LLC more where they
    /// don't divide, the last one what memory is left.
    pub fn new(topology: Topology, memory_bytes: u64) -> Self {
        let count = u64::from(topology.numa_nodes.max(1));
        let each = memory_bytes / count / Self::MEMORY_STEP_BYTES * Self::MEMORY_STEP_BYTES;
        let last = memory_bytes - each * (count - 1);
        let mut nodes: Vec<Node> = topology.spread_llcs().map(|llcs| Node { llcs, memory_bytes: each }).collect();
        if let Some(node) = nodes.last_mut() {
            node.memory_bytes = last;
        }
        Self { topology, distances: default_distances(nodes.len()), nodes }
    }

    /// With these LLCs in each node that has CPUs.
    #[must_use]
    pub fn with_node_llcs(mut self, llcs: &[u32]) -> Self {
        self.describe(llcs.len());
        for (node, llcs) in self.nodes.iter_mut().zip(llcs) {
            node.llcs = *llcs;
        }
        self
    }

    /// With this memory in each node that has CPUs.
    #[must_use]
    pub fn with_node_memory_bytes(mut self, memory_bytes: &[u64]) -> Self {
        self.describe(memory_bytes.len());
        for (node, memory_bytes) in self.nodes.iter_mut().zip(memory_bytes) {
            node.memory_bytes = *memory_bytes;
        }
        self
    }

    /// With nodes behind the others that have this memory and no CPUs, at the default distance from all.
    #[must_use]
    pub fn with_memory_only_nodes(mut self, memory_bytes: &[u64]) -> Self {
        self.nodes.extend(memory_bytes.iter().map(|&memory_bytes| Node { llcs: 0, memory_bytes }));
        self.distances = default_distances(self.nodes.len());
        self
    }

    /// With these distances, of all nodes that the machine has by now.
    #[must_use]
    pub fn with_distances(mut self, distances: Vec<Vec<u8>>) -> Self {
        self.distances = distances;
        self
    }

    /// All its RAM.
    pub fn memory_bytes(&self) -> u64 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.memory_bytes))
    }

    /// The node that LLC number `llc` belongs to; that of the last LLC for a number beyond.
    pub fn node_of_llc(&self, llc: u32) -> u32 {
        let mut end = 0_u32;
        let passed = self.nodes.iter().take_while(|node| {
            end = end.saturating_add(node.llcs);
            end <= llc
        });
        (passed.count() as u32).min(self.topology.numa_nodes.saturating_sub(1))
    }

    /// The node that CPU number `cpu` belongs to. CPUs are numbered thread by thread, core by core, LLC by LLC.
    pub fn node_of_cpu(&self, cpu: u32) -> u32 {
        self.node_of_llc(cpu / self.topology.cpus_per_llc().max(1))
    }

    /// Checks that a machine can be like this, whatever makes it and whatever kernel runs on it.
    ///
    /// # Errors
    /// What is wrong with it, and what comes nearest.
    pub fn validate(&self) -> Result<(), MachineError> {
        self.topology.validate()?;
        self.validate_llcs()?;
        for (node, Node { memory_bytes: bytes, .. }) in self.nodes.iter().enumerate() {
            let (bytes, step) = (*bytes, Self::MEMORY_STEP_BYTES);
            if bytes == 0 || !bytes.is_multiple_of(step) {
                let nearest_bytes = (bytes / step).saturating_add(1).saturating_mul(step);
                return Err(MachineError::NodeMemory { node, bytes, nearest_bytes });
            }
        }
        if self.memory_bytes() > Self::MAX_MEMORY_BYTES {
            return Err(MachineError::TooMuchMemory);
        }
        self.validate_distances()
    }

    fn validate_llcs(&self) -> Result<(), MachineError> {
        let topology = self.topology;
        let given = self.nodes.iter().filter(|node| node.llcs > 0).count();
        let with_cpus: Vec<u32> = self.nodes.iter().take(topology.numa_nodes as usize).map(|node| node.llcs).collect();
        if self.nodes.len() < topology.numa_nodes as usize || given > topology.numa_nodes as usize {
            return Err(MachineError::NodeCount { given, topology });
        }
        let sum: u64 = with_cpus.iter().copied().map(u64::from).sum();
        if sum != u64::from(topology.llcs) || with_cpus.contains(&0) {
            return Err(MachineError::NodeLlcs {
                given: with_cpus,
                topology,
                nearest: topology.spread_llcs().collect(),
            });
        }
        Ok(())
    }

    /// What Linux checks too, in slit_valid() of drivers/acpi/numa/srat.c: of a table with any other entry it uses none.
    fn validate_distances(&self) -> Result<(), MachineError> {
        let (rows, nodes) = (self.distances.len(), self.nodes.len());
        let misfit = self.distances.iter().position(|row| row.len() != nodes);
        if rows != nodes || misfit.is_some() {
            let row = misfit.unwrap_or(0);
            let columns = self.distances.get(row).map_or(0, Vec::len);
            return Err(MachineError::DistanceShape { rows, row, columns, nodes });
        }
        for (from, row) in self.distances.iter().enumerate() {
            for (to, &found) in row.iter().enumerate() {
                if from == to && found != Self::LOCAL_DISTANCE {
                    return Err(MachineError::LocalDistance { node: from, found });
                }
                let nearest = found.clamp(Self::LOCAL_DISTANCE + 1, Self::MAX_DISTANCE);
                if from != to && found != nearest {
                    return Err(MachineError::RemoteDistance { from, to, found, nearest });
                }
            }
        }
        Ok(())
    }

    /// Makes room for what is said of `count` nodes; [`Self::validate`] tells when that is not their number.
    fn describe(&mut self, count: usize) {
        self.nodes.resize(count, Node { llcs: 1, memory_bytes: 0 });
        self.distances = default_distances(count);
    }
}

fn default_distances(nodes: usize) -> Vec<Vec<u8>> {
    let distance = |from, to| if from == to { Machine::LOCAL_DISTANCE } else { Machine::REMOTE_DISTANCE };
    (0..nodes).map(|from| (0..nodes).map(|to| distance(from, to)).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn machine(numa_nodes: u32, llcs: u32) -> Machine {
        Machine::new(Topology { numa_nodes, ..Topology::new(llcs, 1, 2) }, 1024 * MIB)
    }

    fn check(machine: &Machine, expected: Result<(), &str>) {
        let got = machine.validate().map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(got, Ok(()), "{machine:?}"),
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{got:?}"),
        }
    }

    fn nodes_of_llcs(machine: &Machine) -> Vec<u32> {
        (0..machine.topology.llcs).map(|llc| machine.node_of_llc(llc)).collect()
    }

    #[test]
    fn what_is_not_said_is_spread_evenly() {
        assert_eq!(nodes_of_llcs(&machine(2, 4)), [0, 0, 1, 1]);
        assert_eq!(nodes_of_llcs(&machine(3, 5)), [0, 0, 1, 1, 2]);
        let machine = machine(3, 5);
        let memory: Vec<u64> = machine.nodes.iter().map(|node| node.memory_bytes / MIB).collect();
        assert_eq!(memory, [340, 340, 344]);
        assert_eq!(machine.distances, [[10, 20, 20], [20, 10, 20], [20, 20, 10]]);
        check(&machine, Ok(()));
    }

    #[test]
    fn nodes_are_as_given() {
        let machine = machine(2, 4)
            .with_node_llcs(&[1, 3])
            .with_node_memory_bytes(&[512 * MIB, 1024 * MIB])
            .with_memory_only_nodes(&[256 * MIB]);
        check(&machine, Ok(()));
        assert_eq!(nodes_of_llcs(&machine), [0, 1, 1, 1]);
        assert_eq!((0..8).map(|cpu| machine.node_of_cpu(cpu)).collect::<Vec<_>>(), [0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(machine.node_of_llc(99), 1, "a node without CPUs has none");
        assert_eq!((machine.nodes.len(), machine.memory_bytes()), (3, 1792 * MIB));
        assert_eq!(machine.distances[2], [20, 20, 10]);
    }

    #[test]
    fn refuses_nodes_that_cannot_be() {
        check(&machine(2, 4).with_node_llcs(&[1, 2]), Err("the nearest that works is [2, 2]"));
        check(&machine(2, 4).with_node_llcs(&[4, 0]), Err("the nearest that works is [2, 2]"));
        check(&machine(2, 4).with_node_llcs(&[u32::MAX, 5]), Err("the nearest that works is [2, 2]"));
        check(&machine(2, 4).with_node_llcs(&[1, 1, 2]), Err("3 nodes with CPUs are described"));
        check(&machine(2, 4).with_node_memory_bytes(&[512 * MIB]), Err("1 nodes with CPUs are described"));
        check(&machine(3, 2), Err("more NUMA nodes than LLCs"));
        check(&machine(1, 1).with_node_memory_bytes(&[0]), Err("the nearest that works is 2 MiB"));
        check(&machine(1, 1).with_memory_only_nodes(&[3 * MIB]), Err("node 1 cannot have 3145728 bytes"));
        check(&machine(1, 1).with_node_memory_bytes(&[u64::MAX - 1]), Err("node 0 cannot have"));
        check(&machine(1, 1).with_memory_only_nodes(&[1 << 39]), Err("more than 512 GiB"));
    }

    #[test]
    fn refuses_distances_that_the_kernel_would() {
        let with =
            |distances: &[&[u8]]| machine(2, 2).with_distances(distances.iter().map(|row| row.to_vec()).collect());
        check(&with(&[&[10, 254], &[11, 10]]), Ok(()));
        check(&with(&[&[10, 20]]), Err("distances have 1 rows"));
        check(&with(&[&[10, 20], &[20]]), Err("the one of node 1 1 columns"));
        check(&with(&[&[10, 20], &[20, 11]]), Err("node 1 is 11 from itself"));
        check(
            &with(&[&[10, 10], &[20, 10]]),
            Err("node 1 is 10 from node 0: between nodes the kernel takes 11 to 254, and the nearest is 11"),
        );
        check(&with(&[&[10, 20], &[255, 10]]), Err("the nearest is 254"));
    }
}
