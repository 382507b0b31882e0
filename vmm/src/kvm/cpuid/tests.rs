//! Every declared topology is what a guest reads back, by the ways that Linux reads it.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

fn entry(function: u32, index: u32, [eax, ebx, ecx, edx]: [u32; 4]) -> kvm_cpuid_entry2 {
    kvm_cpuid_entry2 { function, index, eax, ebx, ecx, edx, ..Default::default() }
}

fn vendor_leaf(name: &[u8; 12]) -> kvm_cpuid_entry2 {
    let word = |at: usize| u32::from_le_bytes(name[at..at + 4].try_into().unwrap());
    entry(0, 0, [0x1f, word(0), word(8), word(4)])
}

/// A host with 2 threads in each of 8 cores, and a hybrid bit.
fn intel_host() -> Vec<kvm_cpuid_entry2> {
    vec![
        vendor_leaf(b"GenuineIntel"),
        entry(1, 0, [0x9_06ea, 0x0b10_0800, 1 << 5 | 1 << 26, 1 << 28]),
        entry(4, 0, [0x1c00_4121, 0x01c0_003f, 63, 0]),
        entry(4, 1, [0x1c00_4122, 0x01c0_003f, 63, 0]),
        entry(4, 2, [0x1c00_4143, 0x00c0_003f, 1023, 0]),
        entry(4, 3, [0x1c03_c163, 0x03c0_003f, 16383, 6]),
        entry(4, 4, [0, 0, 0, 0]),
        entry(7, 0, [0, 0, 0, 1 << 15]),
        entry(0xa, 0, [0x0730_0404, 0, 0, 0x603]),
        entry(0xb, 0, [1, 2, 0x100, 11]),
        entry(0x1f, 0, [1, 2, 0x100, 11]),
        entry(0x4000_0000, 0, [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d]),
        entry(0x4000_0001, 0, [0x0100_7efb, 0, 0, 0]),
    ]
}

/// An emulated processor, which says little.
fn amd_host() -> Vec<kvm_cpuid_entry2> {
    let mut host = vec![
        vendor_leaf(b"AuthenticAMD"),
        entry(1, 0, [0x663, 0x0001_0800, 0, 0]),
        entry(0x8000_0000, 0, [0x8000_000a, 0, 0, 0]),
        entry(0x8000_0001, 0, [0, 0, 1 << 2, 0]),
        entry(0x8000_0008, 0, [0x3028, 0, 0, 0]),
        entry(0x8000_0026, 0, [1, 2, 0x100, 0]),
    ];
    host[0].eax = 0xd;
    host
}

fn topologies() -> impl Strategy<Value = Topology> {
    (1..=8_u32)
        .prop_flat_map(|threads| (1..=Topology::MAX_CPUS / threads, Just(threads)))
        .prop_flat_map(|(cores, threads)| (1..=Topology::MAX_CPUS / threads / cores, Just(cores), Just(threads)))
        .prop_map(|(llcs, cores, threads)| Topology::new(llcs, cores, threads))
}

fn small_topologies() -> impl Strategy<Value = Topology> {
    (1..=8_u32, 1..=16_u32, 1..=4_u32).prop_map(|(llcs, cores, threads)| Topology::new(llcs, cores, threads))
}

struct Cpu(Leaves);

impl Cpu {
    fn leaf(&self, function: u32, index: u32) -> kvm_cpuid_entry2 {
        *self.0.get(function, index).unwrap()
    }

    /// As detect_extended_topology() does: thread, core and package numbers.
    fn extended(&self, function: u32) -> [u32; 3] {
        let (threads, cores) = (self.leaf(function, 0), self.leaf(function, 1));
        assert_eq!(((threads.ecx >> 8) & 0xff, (cores.ecx >> 8) & 0xff), (1, 2));
        assert_eq!(self.leaf(function, 2).ecx >> 8, 0);
        let id = threads.edx;
        let mask = |shift: u32| (1 << shift) - 1;
        [id & mask(threads.eax), (id & mask(cores.eax)) >> threads.eax, id >> cores.eax]
    }

    /// As parse_topology_leaf() does with AMD's leaf: thread, core and, above core complex, die and socket, package numbers.
    fn complex(&self) -> [u32; 3] {
        let levels: Vec<_> =
            (0..).map(|index| self.leaf(0x8000_0026, index)).take_while(|leaf| leaf.ebx != 0).collect();
        let types: Vec<u32> = levels.iter().map(|leaf| leaf.ecx >> 8 & 0xff).collect();
        assert_eq!(types, [1, 2, 3, 4]);
        assert!(levels[1..].iter().all(|leaf| leaf.eax == levels[1].eax && leaf.edx == levels[0].edx));
        let (id, core, package) = (levels[0].edx, levels[0].eax, levels[3].eax);
        let mask = |shift: u32| (1 << shift) - 1;
        [id & mask(core), (id & mask(package)) >> core, id >> package]
    }

    /// The number of the last-level cache, from the leaf that describes caches.
    fn llc(&self, function: u32) -> u32 {
        let l3 = (0..8).map(|index| self.leaf(function, index)).find(|leaf| leaf.eax >> 5 & 7 == 3).unwrap();
        let sharing = (l3.eax >> 14 & 0xfff) + 1;
        self.leaf(0xb, 0).edx >> sharing.next_power_of_two().trailing_zeros()
    }
}

/// The model of a processor with this name and leaf 1.
pub(crate) fn model(vendor: &[u8; 12], version: u32) -> Model {
    model_of(&[vendor_leaf(vendor), entry(1, 0, [version, 0, 0, 0])])
}

fn cpus(host: &[kvm_cpuid_entry2], topology: Topology) -> Vec<Cpu> {
    let template = CpuIdTemplate::new(host, topology);
    (0..topology.cpus()).map(|cpu| Cpu(Leaves(template.for_cpu(cpu)))).collect()
}

fn check_topology(host: &[kvm_cpuid_entry2], topology: Topology, cache_leaf: u32) {
    let cpus = cpus(host, topology);
    let mut seen = HashSet::new();
    for (number, cpu) in (0_u32..).zip(&cpus) {
        let (thread, rest) = (number % topology.threads_per_core, number / topology.threads_per_core);
        let (core, llc) = (rest % topology.cores_per_llc, rest / topology.cores_per_llc);
        assert_eq!(cpu.extended(0xb), [thread, core, llc], "CPU {number} of {topology}");
        assert_eq!(cpu.llc(cache_leaf), llc, "CPU {number} of {topology}");
        assert_eq!(cpu.leaf(1, 0).ebx >> 24, cpu.leaf(0xb, 0).edx & 0xff);
        assert!(seen.insert(cpu.leaf(0xb, 0).edx), "APIC ids are distinct");
    }
    assert_eq!(cpus[0].leaf(0xb, 0).ebx, topology.threads_per_core);
    assert_eq!(cpus[0].leaf(0xb, 1).ebx, topology.cpus_per_llc());
}

proptest! {
    #[test]
    fn ids_are_distinct(topology in topologies()) {
        let ids: HashSet<u32> = ApicIds::new(topology).all().collect();
        prop_assert_eq!(ids.len(), topology.cpus() as usize);
        prop_assert_eq!(ids.into_iter().max(), Some(ApicIds::new(topology).max()));
    }

    #[test]
    fn intel_guests_read_the_declared_topology(topology in small_topologies()) {
        check_topology(&intel_host(), topology, 4);
        for cpu in cpus(&intel_host(), topology) {
            prop_assert_eq!(cpu.extended(0x1f), cpu.extended(0xb));
        }
    }

    #[test]
    fn amd_guests_read_the_declared_topology(topology in small_topologies()) {
        check_topology(&amd_host(), topology, 0x8000_001d);
        let cpus = cpus(&amd_host(), topology);
        let cores: HashSet<(u32, u32)> = cpus
            .iter()
            .map(|cpu| { let leaf = cpu.leaf(0x8000_001e, 0); (leaf.ecx & 0xff, leaf.ebx & 0xff) })
            .collect();
        prop_assert_eq!(cores.len() as u32, topology.llcs * topology.cores_per_llc);
        prop_assert!(cpus.iter().all(|cpu| (cpu.leaf(0x8000_001e, 0).ebx >> 8) + 1 == topology.threads_per_core));
        prop_assert!(cpus.iter().all(|cpu| cpu.complex() == cpu.extended(0xb)));
        prop_assert_eq!((cpus[0].leaf(0x8000_0008, 0).ecx & 0xff) + 1, topology.cpus_per_llc());
    }
}

#[test]
fn a_guest_knows_that_it_is_one_and_has_a_timer() {
    for host in [intel_host(), amd_host()] {
        let cpu = Cpu(Leaves(CpuIdTemplate::new(&host, Topology::new(1, 1, 1)).for_cpu(0)));
        let features = cpu.leaf(1, 0);
        assert_eq!(features.ecx & (1 << 31 | 1 << 24 | 1 << 21), 1 << 31 | 1 << 24 | 1 << 21);
        assert_eq!(features.ecx & 1 << 5, 0, "no nested virtualization");
        assert_eq!(features.edx & 1 << 28, 0, "a single CPU has no siblings");
        assert!(cpu.leaf(0, 0).eax >= 0xb);
    }
}

#[test]
fn what_would_mislead_a_guest_is_taken_out() {
    let cpu = Cpu(Leaves(CpuIdTemplate::new(&intel_host(), Topology::new(1, 2, 1)).for_cpu(1)));
    assert_eq!(cpu.leaf(7, 0).edx & 1 << 15, 0, "hybrid");
    assert_eq!(cpu.leaf(0xa, 0).eax, 0, "performance counters");
    assert_eq!(cpu.leaf(0x4000_0001, 0).eax, 0x0100_7efb & !(1 << 4 | 1 << 10 | 1 << 14), "asynchronous page faults");
    let amd = Cpu(Leaves(CpuIdTemplate::new(&amd_host(), Topology::new(1, 2, 1)).for_cpu(1)));
    assert_eq!(amd.leaf(0x8000_0001, 0).ecx & (1 << 2 | 1 << 22), 1 << 22, "SVM out, topology extensions in");
    assert!(amd.leaf(0x8000_0000, 0).eax >= 0x8000_0026);
    assert_ne!(amd.leaf(0x8000_0006, 0).edx, 0);
}

#[test]
fn a_host_without_l3_still_gives_one_to_each_llc() {
    let mut host = intel_host();
    host.retain(|leaf| !(leaf.function == 4 && leaf.index == 3));
    check_topology(&host, Topology::new(2, 2, 2), 4);
}

#[test]
fn the_first_zen_has_eight_ids_for_each_llc() {
    let mut host = amd_host();
    host[1].eax = 0x0080_0f11;
    for topology in [Topology::new(3, 1, 1), Topology::new(3, 2, 2), Topology::new(2, 4, 2)] {
        check_topology(&host, topology, 0x8000_001d);
        for (number, cpu) in (0..).zip(cpus(&host, topology)) {
            assert_eq!(cpu.leaf(0xb, 0).edx >> 3, number / topology.cpus_per_llc(), "CPU {number} of {topology}");
        }
    }
}

#[test]
fn ids_above_254_are_announced() {
    let features =
        |topology| Cpu(Leaves(CpuIdTemplate::new(&intel_host(), topology).for_cpu(0))).leaf(0x4000_0001, 0).eax;
    assert_eq!(features(Topology::new(1, 255, 1)) & 1 << 15, 0);
    assert_eq!(features(Topology::new(1, 256, 1)) & 1 << 15, 1 << 15);
}

#[test]
fn only_a_machine_that_is_told_so_believes_in_real_time() {
    let hints = |template: CpuIdTemplate| Cpu(Leaves(template.for_cpu(0))).leaf(0x4000_0001, 0).edx;
    let template = CpuIdTemplate::new(&intel_host(), Topology::new(1, 1, 1));
    assert_eq!((hints(template.clone()), hints(template.with_real_time_hint())), (0, 1));
}

#[test]
fn protection_keys_go_with_xsave() {
    let with = |xsave: u32| {
        let host = [vendor_leaf(b"AuthenticAMD"), entry(1, 0, [0, 0, xsave << 26, 0]), entry(7, 0, [0, 0, 1 << 3, 0])];
        Cpu(Leaves(CpuIdTemplate::new(&host, Topology::new(1, 2, 1)).for_cpu(0))).leaf(7, 0).ecx
    };
    assert_eq!((with(1), with(0)), (1 << 3, 0));
}
