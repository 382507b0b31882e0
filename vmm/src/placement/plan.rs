//! Which host CPU runs which vCPU. Values in, values out.

use super::{HostTopology, Part, Report};
use ktstr_wire::Machine;

/// Host CPUs for a machine; by default none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The host CPU of each vCPU; empty when there are not enough.
    pub cpus: Vec<usize>,
    /// The host CPUs that nothing else may use: those, and their SMT siblings that stay idle. Ascending.
    pub reserved: Vec<usize>,
    /// The host node of each declared one that has CPUs, where those are of one.
    pub nodes: Vec<Option<usize>>,
    /// Whether a CPU is left for the rest of the host.
    pub spare: bool,
    /// What the arrangement has of performance mode.
    pub report: Report,
}

/// An LLC of the host: its node, and the usable CPUs of each of its cores.
struct Llc {
    node: usize,
    cores: Vec<Vec<usize>>,
}

/// How much of the declared arrangement is kept, best first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nodes,
    Llcs,
    Count,
}

/// The best arrangement that these host CPUs allow. The core of the first one is left to the rest of the host where the
/// arrangement is as good without it.
pub fn plan(machine: &Machine, host: &HostTopology) -> Plan {
    for kept in [Kept::Nodes, Kept::Llcs, Kept::Count] {
        for usable in [&without_first_core(host), host] {
            if let Some(cpus) = arrange(machine, usable, kept) {
                return with_cpus(machine, host, kept, cpus);
            }
        }
    }
    let (needed, found) = (machine.topology.cpus(), host.cpus.len());
    let mut report = Report::default();
    report.book(Part::PinnedVcpus, Err(format!("{needed} vCPUs need a host CPU each, and {found} may be used")));
    Plan {
        cpus: Vec::new(),
        reserved: Vec::new(),
        nodes: vec![None; machine.topology.numa_nodes as usize],
        spare: false,
        report,
    }
}

impl Plan {
    /// Whether a vCPU may keep its host CPU for as long as it likes.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn may_keep_cpus(&self) -> Result<(), String> {
        match () {
            () if !self.is_exclusive() => Err("others may use the same CPUs".to_owned()),
            () if !self.spare => Err("no CPU is left for the rest of the host".to_owned()),
            () => Ok(()),
        }
    }

    /// Whether the machine has its CPUs for itself alone.
    pub(super) fn is_exclusive(&self) -> bool {
        self.report.applied.contains(&Part::ExclusiveCpus)
    }

    /// Whether it is as good as another.
    pub(super) fn is_as_good_as(&self, other: &Self) -> bool {
        self.report.applied == other.report.applied
    }
}

fn without_first_core(host: &HostTopology) -> HostTopology {
    let first = host.cpus.first().map(|cpu| cpu.core);
    HostTopology { cpus: host.cpus.iter().copied().filter(|cpu| Some(cpu.core) != first).collect() }
}

/// A host CPU for each vCPU, or `None` when that much cannot be kept.
fn arrange(machine: &Machine, host: &HostTopology, kept: Kept) -> Option<Vec<usize>> {
    let topology = machine.topology;
    let (cores, threads) = (topology.cores_per_llc as usize, topology.threads_per_core as usize);
    let fitting: Vec<Llc> = llcs(host)
        .into_iter()
        .filter(|llc| llc.cores.iter().filter(|core| core.len() >= threads).count() >= cores)
        .collect();
    let chosen: Vec<&Llc> = match kept {
        Kept::Nodes => llcs_by_node(machine, &fitting)?,
        Kept::Llcs => fitting.iter().take(topology.llcs as usize).collect(),
        Kept::Count => {
            let cpus: Vec<usize> = host.cpus.iter().map(|cpu| cpu.cpu).take(topology.cpus() as usize).collect();
            return (cpus.len() == topology.cpus() as usize).then_some(cpus);
        }
    };
    if chosen.len() < topology.llcs as usize {
        return None;
    }
    let of_llc = |llc: &Llc| {
        let wide = llc.cores.iter().filter(|core| core.len() >= threads).take(cores);
        wide.flat_map(|core| core.iter().take(threads).copied()).collect::<Vec<usize>>()
    };
    Some(chosen.into_iter().flat_map(of_llc).collect())
}

/// An LLC of the host for each declared one: those of a node from one host node, the largest nodes first. Nodes need
/// nothing but a number of LLCs, so this finds a way if there is one.
fn llcs_by_node<'a>(machine: &Machine, fitting: &'a [Llc]) -> Option<Vec<&'a Llc>> {
    let mut host_nodes: Vec<Vec<&Llc>> = Vec::new();
    for llc in fitting {
        match host_nodes.iter_mut().find(|llcs| llcs.first().is_some_and(|first| first.node == llc.node)) {
            Some(llcs) => llcs.push(llc),
            None => host_nodes.push(vec![llc]),
        }
    }
    host_nodes.sort_by_key(|llcs| std::cmp::Reverse(llcs.len()));
    let mut by_size: Vec<usize> = (0..machine.topology.numa_nodes as usize).collect();
    by_size.sort_by_key(|node| std::cmp::Reverse(machine.nodes.get(*node).map_or(0, |node| node.llcs)));
    let mut chosen = vec![Vec::new(); by_size.len()];
    for (place, node) in by_size.into_iter().enumerate() {
        let count = machine.nodes.get(node)?.llcs as usize;
        *chosen.get_mut(node)? = host_nodes.get(place)?.get(..count)?.to_vec();
    }
    Some(chosen.into_iter().flatten().collect())
}

/// The host's LLCs, those with most cores first, so that what is cut by the first core's absence comes last.
fn llcs(host: &HostTopology) -> Vec<Llc> {
    let mut named: Vec<(usize, Llc, Vec<usize>)> = Vec::new();
    for cpu in &host.cpus {
        let at = named.iter().position(|(llc, ..)| *llc == cpu.llc).unwrap_or_else(|| {
            named.push((cpu.llc, Llc { node: cpu.node, cores: Vec::new() }, Vec::new()));
            named.len() - 1
        });
        let (_, llc, core_names) = &mut named[at];
        match core_names.iter().position(|core| *core == cpu.core) {
            Some(core) => llc.cores[core].push(cpu.cpu),
            None => {
                core_names.push(cpu.core);
                llc.cores.push(vec![cpu.cpu]);
            }
        }
    }
    let mut llcs: Vec<Llc> = named.into_iter().map(|(_, llc, _)| llc).collect();
    llcs.sort_by_key(|llc| std::cmp::Reverse(llc.cores.len()));
    llcs
}

fn with_cpus(machine: &Machine, host: &HostTopology, kept: Kept, cpus: Vec<usize>) -> Plan {
    let cores: Vec<usize> = host.cpus.iter().filter(|cpu| cpus.contains(&cpu.cpu)).map(|cpu| cpu.core).collect();
    let reserved: Vec<usize> = host.cpus.iter().filter(|cpu| cores.contains(&cpu.core)).map(|cpu| cpu.cpu).collect();
    let nodes = host_nodes(machine, host, &cpus);
    let mut report = Report::default();
    report.book(Part::PinnedVcpus, Ok(()));
    report.book(Part::Llcs, if kept == Kept::Count { Err(llc_shortage(machine, host)) } else { Ok(()) });
    if machine.topology.numa_nodes > 1 {
        let too_few = || "the host has too few nodes with such LLCs, and other nodes' are used".to_owned();
        report.book(Part::Nodes, if kept == Kept::Nodes { Ok(()) } else { Err(too_few()) });
    }
    Plan { cpus, spare: reserved.len() < host.cpus.len(), reserved, nodes, report }
}

/// The host node of each declared one that has CPUs, where those are of one.
fn host_nodes(machine: &Machine, host: &HostTopology, cpus: &[usize]) -> Vec<Option<usize>> {
    let node_of = |cpu: usize| host.cpus.iter().find(|host| host.cpu == cpu).map(|host| host.node);
    let of_node = |node: usize| {
        let vcpus = (0..).zip(cpus).filter(|(vcpu, _)| machine.node_of_cpu(*vcpu) as usize == node);
        let mut nodes = vcpus.map(|(_, cpu)| node_of(*cpu));
        let first = nodes.next().flatten();
        first.filter(|first| nodes.all(|node| node == Some(*first)))
    };
    (0..machine.topology.numa_nodes as usize).map(of_node).collect()
}

fn llc_shortage(machine: &Machine, host: &HostTopology) -> String {
    let topology = machine.topology;
    let (cores, threads) = (topology.cores_per_llc as usize, topology.threads_per_core as usize);
    let wide = |llc: &Llc| llc.cores.iter().filter(|core| core.len() >= threads).count();
    let found: Vec<String> = llcs(host).iter().map(|llc| wide(llc).to_string()).collect();
    format!(
        "{} LLCs with {cores} cores of {threads} threads are declared, and the usable LLCs of the host have such cores: {}",
        topology.llcs,
        found.join(", ")
    )
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
