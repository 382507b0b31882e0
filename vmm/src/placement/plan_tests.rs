//! Machines on hosts of recorded shapes.

use super::*;
use crate::placement::HostCpu;
use ktstr_wire::Topology;

/// A host whose CPUs are numbered as Linux does on x86: first one thread of every core, then the others.
fn host(nodes: usize, llcs_per_node: usize, cores_per_llc: usize, threads: usize) -> HostTopology {
    let cores = nodes * llcs_per_node * cores_per_llc;
    let cpu = |cpu: usize| {
        let core = cpu % cores;
        let llc = core / cores_per_llc;
        HostCpu { cpu, core, llc: llc * cores_per_llc, node: llc / llcs_per_node }
    };
    HostTopology { cpus: (0..cores * threads).map(cpu).collect() }
}

/// Eight cores, sixteen threads, one LLC.
fn desktop() -> HostTopology {
    host(1, 1, 8, 2)
}

/// Two sockets of sixteen cores with SMT, an LLC and a node each.
fn two_sockets() -> HostTopology {
    host(2, 1, 16, 2)
}

/// One socket of eight core complexes, an LLC each, of four cores with SMT.
fn eight_complexes() -> HostTopology {
    host(1, 8, 4, 2)
}

/// A virtual machine.
fn two_cpus() -> HostTopology {
    host(1, 1, 2, 1)
}

fn machine(nodes: u32, llcs: u32, cores: u32, threads: u32) -> Machine {
    let topology = Topology { numa_nodes: nodes, llcs, cores_per_llc: cores, threads_per_core: threads };
    Machine::new(topology, 1 << 30)
}

fn missing(plan: &Plan) -> Vec<Part> {
    plan.report.missing.iter().map(|missing| missing.part).collect()
}

fn check(host: &HostTopology, machine: &Machine, cpus: &[usize], lacking: &[Part]) -> Plan {
    let plan = plan(machine, host);
    assert_eq!((plan.cpus.as_slice(), missing(&plan).as_slice()), (cpus, lacking), "{plan:?}");
    plan
}

#[test]
fn smt_siblings_are_siblings_and_the_first_core_is_left() {
    let plan = check(&desktop(), &machine(1, 1, 2, 2), &[1, 9, 2, 10], &[]);
    assert_eq!((plan.reserved, plan.spare), (vec![1, 2, 9, 10], true));
}

#[test]
fn cores_without_smt_have_no_neighbour() {
    let plan = check(&desktop(), &machine(1, 1, 3, 1), &[1, 2, 3], &[]);
    assert_eq!(plan.reserved, [1, 2, 3, 9, 10, 11], "their siblings stay idle");
}

#[test]
fn a_whole_host_can_be_had_but_then_nothing_is_left() {
    let plan = check(&desktop(), &machine(1, 1, 8, 1), &[0, 1, 2, 3, 4, 5, 6, 7], &[]);
    assert!(!plan.spare && plan.reserved.len() == 16);
}

#[test]
fn what_does_not_fit_an_llc_is_still_pinned() {
    let plan = check(&desktop(), &machine(1, 2, 2, 1), &[1, 2, 3, 4], &[Part::Llcs]);
    assert!(plan.report.missing[0].reason.contains("such cores: 8"), "{plan:?}");
    let all = check(&desktop(), &machine(1, 1, 16, 1), &(0..16).collect::<Vec<_>>(), &[Part::Llcs]);
    assert!(!all.spare);
}

#[test]
fn more_vcpus_than_cpus_are_not_pinned() {
    let plan = check(&two_cpus(), &machine(1, 1, 3, 1), &[], &[Part::PinnedVcpus]);
    assert!(plan.report.missing[0].reason.contains("3 vCPUs need a host CPU each, and 2 may be used"), "{plan:?}");
}

#[test]
fn a_small_host_gives_what_it_has() {
    assert!(check(&two_cpus(), &machine(1, 1, 1, 1), &[1], &[]).spare);
    assert!(!check(&two_cpus(), &machine(1, 1, 2, 1), &[0, 1], &[]).spare);
    check(&two_cpus(), &machine(1, 1, 1, 2), &[0, 1], &[Part::Llcs]);
    check(&two_cpus(), &machine(2, 2, 1, 1), &[0, 1], &[Part::Llcs, Part::Nodes]);
}

#[test]
fn llcs_are_complexes() {
    let plan = check(&eight_complexes(), &machine(1, 2, 4, 1), &[4, 5, 6, 7, 8, 9, 10, 11], &[]);
    assert_eq!(plan.nodes, [Some(0)]);
    let all = plan_of(&eight_complexes(), &machine(1, 8, 4, 2));
    assert_eq!((all.reserved.len(), missing(&all), all.spare), (64, vec![], false));
    let wide = plan_of(&eight_complexes(), &machine(1, 1, 5, 1));
    assert_eq!(missing(&wide), [Part::Llcs]);
}

fn plan_of(host: &HostTopology, machine: &Machine) -> Plan {
    plan(machine, host)
}

#[test]
fn nodes_are_sockets() {
    let plan = plan_of(&two_sockets(), &machine(2, 2, 2, 2));
    // The node that keeps all its cores comes first.
    assert_eq!(plan.cpus, [16, 48, 17, 49, 1, 33, 2, 34]);
    assert_eq!((plan.nodes.clone(), missing(&plan)), (vec![Some(1), Some(0)], vec![]));
    let with_memory = machine(2, 2, 2, 2).with_memory_only_nodes(&[1 << 30]);
    assert_eq!(plan_of(&two_sockets(), &with_memory).nodes, [Some(1), Some(0)]);
}

#[test]
fn nodes_of_unequal_size_go_where_they_fit() {
    // Node 0 of the host may be used on one LLC only.
    let host = host(2, 4, 4, 1);
    let host = host.whole_cores(&(12..32).collect::<Vec<_>>());
    let machine = machine(2, 4, 2, 1).with_node_llcs(&[1, 3]).with_node_memory_bytes(&[1 << 30, 1 << 30]);
    let plan = plan_of(&host, &machine);
    assert_eq!((plan.nodes.clone(), missing(&plan)), (vec![Some(0), Some(1)], vec![]), "{plan:?}");
}

#[test]
fn too_few_nodes_keep_the_llcs() {
    let plan = plan_of(&eight_complexes(), &machine(2, 4, 4, 1));
    assert_eq!((missing(&plan), plan.nodes), (vec![Part::Nodes], vec![Some(0), Some(0)]));
    let split = plan_of(&host(4, 1, 4, 1), &machine(1, 2, 4, 1));
    assert_eq!((missing(&split), split.nodes), (vec![], vec![None]), "RAM can be local to none of its CPUs' nodes");
}

#[test]
fn no_cpu_serves_two_vcpus_on_any_host() {
    use proptest::prelude::*;
    let count = || 1_usize..4;
    let shape = (count(), count(), count(), 1_usize..3);
    let declared = (1_u32..3, 0_u32..3, 1_u32..4, 1_u32..3);
    proptest!(|((nodes, llcs, cores, threads) in shape, (n, more, c, t) in declared, holes in any::<u64>())| {
        let host = host(nodes, llcs, cores, threads);
        let usable: Vec<usize> = (0..host.cpus.len()).filter(|cpu| holes & 1 << cpu == 0).collect();
        let (host, machine) = (host.whole_cores(&usable), machine(n, n + more, c, t));
        let plan = plan(&machine, &host);
        let mut cpus = plan.cpus.clone();
        cpus.sort_unstable();
        cpus.dedup();
        prop_assert_eq!(cpus.len(), plan.cpus.len());
        let enough = host.cpus.len() >= machine.topology.cpus() as usize;
        prop_assert_eq!(plan.cpus.len(), if enough { machine.topology.cpus() as usize } else { 0 });
        prop_assert!(plan.reserved.is_sorted() && cpus.iter().all(|cpu| plan.reserved.contains(cpu)));
        if plan.report.applied.contains(&Part::Llcs) {
            let llc = |cpu: usize| host.cpus.iter().find(|host| host.cpu == cpu).map(|host| (host.llc, host.core));
            for chunk in plan.cpus.chunks(machine.topology.cpus_per_llc() as usize) {
                prop_assert!(chunk.iter().all(|cpu| llc(*cpu).map(|at| at.0) == llc(chunk[0]).map(|at| at.0)));
            }
            for core in plan.cpus.chunks(machine.topology.threads_per_core as usize) {
                prop_assert!(core.iter().all(|cpu| llc(*cpu) == llc(core[0])));
            }
        }
    });
}
