//! Machines on which every scheduler should hold its own. Plain data, because `#[ktstr_test]` makes a test of each of them
//! and the harness a machine.

/// A machine by name. What it leaves empty is as by default.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// NUMA nodes that have CPUs.
    pub numa_nodes: u32,
    /// Last-level caches of the whole machine.
    pub llcs: u32,
    /// Cores that share one LLC.
    pub cores_per_llc: u32,
    /// SMT siblings of one core.
    pub threads_per_core: u32,
    /// LLCs of each node that has CPUs.
    pub node_llcs: &'static [u32],
    /// RAM of each node that has CPUs.
    pub node_memory_mb: &'static [u32],
    /// RAM of each node that has none.
    pub memory_only_nodes_mb: &'static [u32],
    /// Distances from node to node.
    pub distances: &'static [&'static [u8]],
}

/// All of them, the smaller ones first within their kind.
pub const PRESETS: &[Preset] = &[
    even("tiny-1llc", 1, 1, 4, 1),
    even("tiny-2llc", 1, 2, 2, 1),
    // LLCs that divide into no halves.
    even("odd-3llc", 1, 3, 3, 1),
    even("odd-5llc", 1, 5, 3, 1),
    even("odd-7llc", 1, 7, 2, 1),
    even("smt-2llc", 1, 2, 2, 2),
    even("smt-3llc", 1, 3, 2, 2),
    even("medium-4llc", 1, 4, 4, 2),
    even("medium-4llc-nosmt", 1, 4, 8, 1),
    even("medium-8llc", 1, 8, 3, 2),
    even("medium-8llc-nosmt", 1, 8, 6, 1),
    even("large-4llc", 1, 4, 12, 2),
    even("large-4llc-nosmt", 1, 4, 24, 1),
    even("large-8llc", 1, 8, 8, 2),
    even("large-8llc-nosmt", 1, 8, 16, 1),
    // As many CPUs as can be reached without interrupt remapping, in few LLCs and in many.
    even("near-max-llc", 1, 15, 8, 2),
    even("near-max-llc-nosmt", 1, 15, 16, 1),
    even("max-cpu", 1, 63, 2, 2),
    even("max-cpu-nosmt", 1, 63, 4, 1),
    // Nodes by LLCs in each.
    even("numa-2x2", 2, 4, 2, 1),
    even("numa-2x4", 2, 8, 1, 2),
    even("numa-4x2", 4, 8, 2, 1),
    even("numa-4x3", 4, 12, 1, 2),
    Preset { node_llcs: &[1, 3], ..even("numa-uneven-llcs", 2, 4, 2, 2) },
    Preset { node_memory_mb: &[640, 256], ..even("numa-uneven-memory", 2, 2, 2, 1) },
    // The outer ones reach each other through the middle one.
    Preset { distances: &[&[10, 20, 30], &[20, 10, 20], &[30, 20, 10]], ..even("numa-line", 3, 3, 2, 1) },
    // Two packages of two nodes.
    Preset {
        distances: &[&[10, 12, 32, 32], &[12, 10, 32, 32], &[32, 32, 10, 12], &[32, 32, 12, 10]],
        ..even("numa-pairs", 4, 4, 2, 1)
    },
    Preset { memory_only_nodes_mb: &[256], ..even("numa-memory-only", 1, 2, 2, 1) },
    Preset {
        node_llcs: &[2, 1],
        node_memory_mb: &[512, 128],
        memory_only_nodes_mb: &[320],
        distances: &[&[10, 21, 17], &[21, 10, 28], &[17, 28, 10]],
        ..even("numa-uneven", 2, 3, 2, 2)
    },
];

const fn even(name: &'static str, numa_nodes: u32, llcs: u32, cores_per_llc: u32, threads_per_core: u32) -> Preset {
    Preset {
        name,
        numa_nodes,
        llcs,
        cores_per_llc,
        threads_per_core,
        node_llcs: &[],
        node_memory_mb: &[],
        memory_only_nodes_mb: &[],
        distances: &[],
    }
}

impl Preset {
    /// Logical CPUs.
    pub const fn cpus(&self) -> u32 {
        self.llcs * self.cores_per_llc * self.threads_per_core
    }

    /// Its name as that of a test function.
    pub fn function(&self) -> String {
        self.name.replace('-', "_")
    }
}

/// The preset of this name, as it is or as that of a function.
pub fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name || preset.function() == name)
}
