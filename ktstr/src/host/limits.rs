//! Which machines a kernel is built for.

use ktstr_kernels::Kernel;
use ktstr_wire::{Machine, Topology};

/// Why a kernel cannot run on the whole of a machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelLimit {
    /// It would leave CPUs out.
    #[error(
        "topology {topology} has {} CPUs and the kernel takes {limit} (CONFIG_NR_CPUS): the nearest that works is {}",
        topology.cpus(),
        topology.nearest_that(|topology| u64::from(topology.cpus()) <= *limit)
    )]
    Cpus {
        /// As declared.
        topology: Topology,
        /// What it is built for.
        limit: u64,
    },
    /// It would leave nodes out.
    #[error(
        "the machine has {nodes} NUMA nodes and the kernel takes {limit} (CONFIG_NUMA, CONFIG_NODES_SHIFT): declare {limit} at most"
    )]
    Nodes {
        /// As declared.
        nodes: u64,
        /// What it is built for.
        limit: u64,
    },
}

/// What a kernel is built for; what is unknown is no limit here, and the guest itself tells what it has found.
#[derive(Debug, Clone, Copy)]
struct Limits {
    cpus: Option<u64>,
    nodes: Option<u64>,
}

/// Checks that the kernel takes all of the machine.
///
/// # Errors
/// What it would leave out.
pub fn check(kernel: &Kernel, machine: &Machine) -> Result<(), KernelLimit> {
    Limits::of(kernel).check(machine)
}

impl Limits {
    fn of(kernel: &Kernel) -> Self {
        if kernel.meta.config_hash.is_none() {
            return Self { cpus: None, nodes: None };
        }
        // Without CONFIG_SMP, or CONFIG_NUMA, the number is left out.
        let cpus = Some(kernel.number("NR_CPUS").unwrap_or(1));
        let nodes = 1_u64.checked_shl(kernel.number("NODES_SHIFT").unwrap_or(0) as u32);
        Self { cpus, nodes }
    }

    fn check(self, machine: &Machine) -> Result<(), KernelLimit> {
        let (topology, nodes) = (machine.topology, machine.nodes.len() as u64);
        if let Some(limit) = self.cpus.filter(|limit| u64::from(topology.cpus()) > *limit) {
            return Err(KernelLimit::Cpus { topology, limit });
        }
        match self.nodes.filter(|limit| nodes > *limit) {
            Some(limit) => Err(KernelLimit::Nodes { nodes, limit }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cpus: u64, nodes: u64, expected: Result<(), &str>) {
        let machine = Machine::new(Topology { numa_nodes: 4, ..Topology::new(4, 4, 2) }, 1 << 30);
        let machine = machine.with_memory_only_nodes(&[1 << 30]);
        let got = Limits { cpus: Some(cpus), nodes: Some(nodes) }.check(&machine).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(got, Ok(())),
            Err(part) => assert!(got.as_ref().unwrap_err().contains(part), "{got:?}"),
        }
    }

    #[test]
    fn refuses_what_the_kernel_would_leave_out() {
        check(32, 8, Ok(()));
        check(31, 8, Err("has 32 CPUs and the kernel takes 31 (CONFIG_NR_CPUS): the nearest that works is 4,4,3,2"));
        check(1, 8, Err("the nearest that works is 1,1,1,1"));
        check(8192, 4, Err("has 5 NUMA nodes and the kernel takes 4"));
    }
}
