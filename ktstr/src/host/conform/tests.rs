//! A report as a guest made it, and others that differ from it in one thing.

use super::*;
use ktstr_wire::{CpuFact, NodeReport, Topology};

const MIB: u64 = 1 << 20;

/// What Linux 7.3 said under emulation.
const CPUS: &str = "\
topology/physical_package_id: 0=0-3; 1=4-7; 2=8-11; 3=12-15
topology/die_id: 0=0-3; 1=4-7; 2=8-11; 3=12-15
topology/core_id: 0=0-1,4-5,8-9,12-13; 1=2-3,6-7,10-11,14-15
topology/thread_siblings_list: 0-1=0-1; 2-3=2-3; 4-5=4-5; 6-7=6-7; 8-9=8-9; 10-11=10-11; 12-13=12-13; 14-15=14-15
topology/die_cpus_list: 0-3=0-3; 4-7=4-7; 8-11=8-11; 12-15=12-15
topology/package_cpus_list: 0-3=0-3; 4-7=4-7; 8-11=8-11; 12-15=12-15
cache/index0/level: 2=0-15
cache/index0/type: Unified=0-15
cache/index0/shared_cpu_list: 0-1=0-1; 2-3=2-3; 4-5=4-5; 6-7=6-7; 8-9=8-9; 10-11=10-11; 12-13=12-13; 14-15=14-15
cache/index1/level: 3=0-15
cache/index1/type: Unified=0-15
cache/index1/shared_cpu_list: 0-3=0-3; 4-7=4-7; 8-11=8-11; 12-15=12-15";

const DOMAINS: &str = "\
domain0: SMT 0003=0-1; SMT 000c=2-3; SMT 0030=4-5; SMT 00c0=6-7; SMT 0300=8-9; SMT 0c00=10-11; SMT 3000=12-13; SMT c000=14-15
domain1: MC 000f=0-3; MC 00f0=4-7; MC 0f00=8-11; MC f000=12-15
domain2: PKG 00ff=0-7; PKG ff00=8-15
domain3: NUMA ffff=0-15";

fn machine() -> Machine {
    Machine::new(Topology { numa_nodes: 2, ..Topology::new(4, 2, 2) }, 768 * MIB)
}

fn facts(table: &str) -> Vec<CpuFact> {
    let fact = |line: &str| {
        let (name, values) = line.split_once(": ").unwrap();
        let mut fact = CpuFact::new(name);
        for (text, cpus) in values.split("; ").map(|value| value.rsplit_once('=').unwrap()) {
            cpus.parse::<CpuSet>().unwrap().iter().for_each(|cpu| fact.note(cpu, text));
        }
        fact
    };
    table.lines().map(fact).collect()
}

fn report() -> MachineReport {
    let node = |node, cpulist: &str, distance: &str, present_pages| NodeReport {
        node,
        cpulist: cpulist.to_owned(),
        distance: distance.to_owned(),
        present_pages,
    };
    MachineReport {
        online: "0-15".to_owned(),
        possible: "0-15".to_owned(),
        cpus: facts(CPUS),
        domains: facts(DOMAINS),
        nodes: vec![node(0, "0-7", "10 20", 98206), node(1, "8-15", "20 10", 81888)],
        took_ns: 0,
    }
}

fn check(change: impl FnOnce(&mut MachineReport), expected: &[&str]) {
    let mut report = report();
    change(&mut report);
    let layout = RamLayout::new(&[768 * MIB], 64 * MIB).unwrap();
    assert_eq!(differences(&machine(), &layout, &report), expected);
}

/// The report's word on one CPU becomes `text`, or nothing.
fn tell(facts: &mut [CpuFact], name: &str, changed: u32, text: Option<&str>) {
    let fact = facts.iter_mut().find(|fact| fact.name == name).unwrap();
    let before = std::mem::replace(fact, CpuFact::new(name));
    for cpu in 0..16 {
        let told = if cpu == changed { text } else { before.of(cpu) };
        told.into_iter().for_each(|told| fact.note(cpu, told));
    }
}

#[test]
fn the_declared_machine_has_no_differences() {
    check(|_| {}, &[]);
    check(|report| report.domains = facts(&DOMAINS.replace("PKG", "DIE")), &[]);
    let nameless =
        ["SMT ", "MC ", "PKG ", "NUMA "].iter().fold(DOMAINS.to_owned(), |text, name| text.replace(name, ""));
    check(|report| report.domains = facts(&nameless), &[]);
}

#[test]
fn cpus_that_are_not_there_are_missed() {
    check(|report| report.online = "0-14".to_owned(), &["the CPUs that are online are 0-14, declared are 0-15"]);
    check(
        |report| report.possible = "x".to_owned(),
        &["the CPUs that are possible are not told: \"x\" is no set of CPUs"],
    );
}

#[test]
fn cores_and_packages_are_compared() {
    check(
        |report| tell(&mut report.cpus, "topology/thread_siblings_list", 5, Some("5")),
        &["the CPUs in the core of CPU 5 are 5, declared are 4-5"],
    );
    check(
        |report| tell(&mut report.cpus, "topology/package_cpus_list", 5, None),
        &["the CPUs in the package of CPU 5 are not told, declared are 4-7"],
    );
    check(
        |report| tell(&mut report.cpus, "topology/core_id", 5, Some("1")),
        &[
            "the CPUs with physical_package_id 1, die_id 1, core_id 0 are 4, declared are 4-5",
            "the CPUs with physical_package_id 1, die_id 1, core_id 1 are 5-7, declared are 4-5",
        ],
    );
}

#[test]
fn dies_may_be_numbered_in_their_package() {
    check(|report| (0..16).for_each(|cpu| tell(&mut report.cpus, "topology/die_id", cpu, Some("0"))), &[]);
}

#[test]
fn caches_are_compared() {
    check(
        |report| tell(&mut report.cpus, "cache/index1/shared_cpu_list", 5, Some("4-5")),
        &["the CPUs that share the LLC of CPU 5 are 4-5, declared are 4-7"],
    );
    check(
        |report| tell(&mut report.cpus, "cache/index0/shared_cpu_list", 5, Some("4-7")),
        &["the CPUs that share the L2 cache (Unified) of CPU 5 are 4-7, declared for its core are 4-5"],
    );
    // A thread may have a cache to itself.
    check(|report| tell(&mut report.cpus, "cache/index0/shared_cpu_list", 5, Some("5")), &[]);
    // Without its last-level cache, the one before it is the last.
    check(
        |report| tell(&mut report.cpus, "cache/index1/level", 5, None),
        &["the CPUs that share the LLC of CPU 5 are 4-5, declared are 4-7"],
    );
}

#[test]
fn nodes_are_compared() {
    check(|report| report.nodes[1].cpulist = String::new(), &["the CPUs of node 1 are none, declared are 8-15"]);
    check(
        |report| report.nodes[0].distance = "10 21".to_owned(),
        &["the distances of node 0 are 10 21, declared are 10 20"],
    );
    check(
        |report| report.nodes[1].node = 2,
        &["there is a node 2, which is not declared", "there is no node 1, which is declared"],
    );
}

#[test]
fn memory_is_compared_to_what_the_map_leaves_out() {
    // The smallest step by which a node's memory can be wrong, in either direction.
    let pages = Machine::MEMORY_STEP_BYTES / 4096;
    check(
        |report| report.nodes[0].present_pages -= pages,
        &["the RAM of node 0 is 390776 KiB, declared are 392192 to 393216 KiB"],
    );
    check(
        |report| report.nodes[0].present_pages += pages,
        &["the RAM of node 0 is 394872 KiB, declared are 392192 to 393216 KiB"],
    );
    check(
        |report| report.nodes[1].present_pages -= pages,
        &["the RAM of node 1 is 325504 KiB, declared are 325632 to 327680 KiB"],
    );
    check(
        |report| report.nodes[1].present_pages = u64::MAX,
        &["the RAM of node 1 is 18014398509481983 KiB, declared are 325632 to 327680 KiB"],
    );
}

#[test]
fn domains_are_compared() {
    let declared = "declared are [SMT 4-5; MC 4-7; PKG 0-7; NUMA 0-15]";
    let differs = |name, text, told: &str| {
        let expected = format!("CPU 5 has the scheduling domains [{told}], {declared}");
        check(|report| tell(&mut report.domains, name, 5, text), &[&expected]);
    };
    differs("domain1", Some("MC 0030"), "SMT 4-5; MC 4-5; PKG 0-7; NUMA 0-15");
    differs("domain1", Some("CLS 00f0"), "SMT 4-5; CLS 4-7; PKG 0-7; NUMA 0-15");
    differs("domain3", None, "SMT 4-5; MC 4-7; PKG 0-7");
    differs("domain3", Some("NUMA"), "SMT 4-5; MC 4-7; PKG 0-7; NUMA");
}

/// The domains of some CPUs of a machine.
fn check_domains(machine: &Machine, expected: &[(u32, &str)]) {
    for (cpu, domains) in expected {
        let got: Vec<String> = domains::expected(machine, *cpu).iter().map(ToString::to_string).collect();
        assert_eq!(got.join("; "), *domains, "CPU {cpu} of {}", machine.topology);
    }
}

fn even(numa_nodes: u32, llcs: u32, cores: u32, threads: u32) -> Machine {
    Machine::new(Topology { numa_nodes, ..Topology::new(llcs, cores, threads) }, 1024 * MIB)
}

#[test]
fn levels_that_add_nothing_vanish() {
    check_domains(&even(1, 1, 1, 1), &[(0, "")]);
    check_domains(&even(1, 1, 2, 1), &[(1, "MC 0-1")]);
    check_domains(&even(1, 1, 2, 2), &[(2, "SMT 2-3; MC 0-3")]);
    check_domains(&even(1, 3, 1, 2), &[(3, "SMT 2-3; PKG 0-5")]);
    check_domains(&even(1, 3, 1, 1), &[(2, "PKG 0-2")]);
    check_domains(&even(2, 2, 2, 1), &[(2, "MC 2-3; NUMA 0-3")]);
    check_domains(&even(2, 2, 1, 1), &[(1, "NUMA 0-1")]);
    check_domains(&even(2, 3, 2, 1), &[(0, "MC 0-1; PKG 0-3; NUMA 0-5"), (4, "MC 4-5; NUMA 0-5")]);
}

#[test]
fn nodes_reach_each_other_in_the_order_of_their_distances() {
    let line = vec![vec![10, 20, 30], vec![20, 10, 20], vec![30, 20, 10]];
    check_domains(
        &even(3, 3, 2, 1).with_distances(line),
        &[(0, "MC 0-1; NUMA 0-3; NUMA 0-5"), (2, "MC 2-3; NUMA 0-5"), (5, "MC 4-5; NUMA 2-5; NUMA 0-5")],
    );
    // Nodes without CPUs, however near, are in no domain.
    let far = vec![vec![10, 40, 12], vec![40, 10, 12], vec![12, 12, 10]];
    check_domains(
        &even(2, 2, 2, 1).with_memory_only_nodes(&[256 * MIB]).with_distances(far),
        &[(0, "MC 0-1; NUMA 0-3")],
    );
}
