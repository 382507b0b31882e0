//! What a test declares.

use crate::assert::Assert;
use ktstr_wire::{Machine, Topology};

/// Everything that `#[ktstr_test]` says about one test.
#[derive(Debug, Clone)]
pub struct TestSpec {
    /// Path of the test, with its crate in front.
    pub path: &'static str,
    /// The machine's CPUs.
    pub topology: Topology,
    /// RAM of the nodes that have CPUs together, spread evenly, where the default does not do.
    pub memory_mb: Option<u32>,
    /// LLCs of each node that has CPUs; spread evenly when empty.
    pub node_llcs: &'static [u32],
    /// RAM of each node that has CPUs, instead of `memory_mb`; spread evenly when empty.
    pub node_memory_mb: &'static [u32],
    /// RAM of each node that has no CPUs; they are numbered behind those that have.
    pub memory_only_nodes_mb: &'static [u32],
    /// Distances from node to node, see [`Machine::distances`]; the default ones when empty.
    pub distances: &'static [&'static [u8]],
    /// How long the scenario takes, in seconds of the guest's clock.
    pub duration_s: f64,
    /// Workers of a cgroup that does not say its own number.
    pub workers_per_cgroup: u32,
    /// Whether each vCPU is to have a host CPU of its own, arranged as the machine declares; see
    /// [`PerformancePart`](crate::PerformancePart) for all that belongs to it. A part that the host lacks is said and recorded, and
    /// the test runs without it.
    pub performance_mode: bool,
    /// Programs of the host that the body runs by [`WorkType::Program`](ktstr_workload::WorkType::Program): names on the
    /// search path, or paths, relative ones from where the test runs. In the guest each goes by its file name.
    pub programs: &'static [&'static str],
    /// What the test asserts beyond, or instead of, the defaults.
    pub assert: Assert,
    /// The run passes only if it fails for this reason: the name of what is asserted, or a part of what a finding says.
    pub expect_err: Option<&'static str>,
}

impl TestSpec {
    /// The defaults, for a test of this path.
    pub const fn new(path: &'static str, topology: Topology) -> Self {
        Self {
            path,
            topology,
            memory_mb: None,
            node_llcs: &[],
            node_memory_mb: &[],
            memory_only_nodes_mb: &[],
            distances: &[],
            duration_s: 2.0,
            workers_per_cgroup: 2,
            performance_mode: false,
            programs: &[],
            assert: Assert::unset(),
            expect_err: None,
        }
    }

    /// The machine as declared. The nodes that have CPUs share `memory_bytes` where the test does not say what they have.
    pub fn machine(&self, memory_bytes: u64) -> Machine {
        let bytes = |mb: &[u32]| mb.iter().map(|mb| u64::from(*mb) << 20).collect::<Vec<u64>>();
        let memory_bytes = self.memory_mb.map_or(memory_bytes, |mb| u64::from(mb) << 20);
        let mut machine = Machine::new(self.topology, memory_bytes);
        if !self.node_llcs.is_empty() {
            machine = machine.with_node_llcs(self.node_llcs);
        }
        if !self.node_memory_mb.is_empty() {
            machine = machine.with_node_memory_bytes(&bytes(self.node_memory_mb));
        }
        if !self.memory_only_nodes_mb.is_empty() {
            machine = machine.with_memory_only_nodes(&bytes(self.memory_only_nodes_mb));
        }
        if !self.distances.is_empty() {
            machine = machine.with_distances(self.distances.iter().map(|row| row.to_vec()).collect());
        }
        machine
    }

    /// The name by which the test runner knows the test: its path without the crate.
    pub fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_crate, name)| name)
    }
}
