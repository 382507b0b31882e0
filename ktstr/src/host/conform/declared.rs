//! Which CPUs a declared machine has where. They are numbered thread by thread, core by core, LLC by LLC, node by node.

use ktstr_wire::{CpuSet, Machine};

/// All of them.
pub(super) fn cpus(machine: &Machine) -> CpuSet {
    (0..machine.topology.cpus()).collect()
}

/// The SMT siblings of a CPU.
pub(super) fn core(machine: &Machine, cpu: u32) -> CpuSet {
    group(cpu, machine.topology.threads_per_core)
}

/// Those that share the last-level cache of a CPU.
pub(super) fn llc(machine: &Machine, cpu: u32) -> CpuSet {
    group(cpu, machine.topology.cpus_per_llc())
}

/// Those of the nodes that `wanted` holds for.
pub(super) fn of_nodes(machine: &Machine, wanted: impl Fn(usize) -> bool) -> CpuSet {
    (0..machine.topology.cpus()).filter(|cpu| wanted(machine.node_of_cpu(*cpu) as usize)).collect()
}

/// The group of `size` that `cpu` is in.
fn group(cpu: u32, size: u32) -> CpuSet {
    let first = cpu / size * size;
    (first..first + size).collect()
}
