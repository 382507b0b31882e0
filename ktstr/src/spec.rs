//! What a test declares.

use crate::assert::Assert;
use crate::record::test_name;
use crate::scheduler::{BpfMapWrite, Profile, Scheduler};
use ktstr_presets::Preset;
use ktstr_wire::{Machine, Topology};

/// Everything that `#[ktstr_test]` says about one test.
#[derive(Debug, Clone)]
pub struct TestSpec {
    /// Path of the test, with its crate in front.
    pub path: &'static str,
    /// The preset whose machine it has instead of the declared one.
    pub preset: Option<&'static str>,
    /// The machine's CPUs.
    pub topology: Topology,
    /// RAM of the nodes that have CPUs together, spread evenly, where the default does not do. On a preset the least.
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
    /// Parameters for the guest's kernel, before those of `KTSTR_KARGS`.
    pub kargs: &'static [&'static str],
    /// Kernel settings, as `sysctl` names them, and their values: made before the body runs, and read back.
    pub sysctls: &'static [(&'static str, &'static str)],
    /// The scheduler under test.
    pub scheduler: Scheduler,
    /// Further ones, which the scenario may switch to.
    pub schedulers: &'static [Scheduler],
    /// Arguments of the scheduler's program, after all others.
    pub extra_sched_args: &'static [&'static str],
    /// The kernel takes a task for stalled that is runnable for so many seconds and does not run, instead of after what the
    /// scheduler says.
    pub watchdog_timeout_s: Option<f64>,
    /// Flags of the scheduler that are on.
    pub required_flags: &'static [&'static str],
    /// Flags of the scheduler that are off.
    pub excluded_flags: &'static [&'static str],
    /// The flags of the scheduler that are on in one run of the test; `None` where it has none, and for the test as a whole.
    pub profile: Option<Profile>,
    /// What is written into the scheduler's BPF maps, and when.
    pub bpf_map_write: &'static [BpfMapWrite],
    /// Whether a run that ends with a crash of the scheduler is made once more, with a trace of the kernel; see
    /// [`Repro`](crate::Repro).
    pub auto_repro: bool,
    /// How often it runs, each time with another seed and a record of its own.
    pub replicas: u32,
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
            preset: None,
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
            kargs: &[],
            sysctls: &[],
            scheduler: Scheduler::EEVDF,
            schedulers: &[],
            extra_sched_args: &[],
            watchdog_timeout_s: None,
            required_flags: &[],
            excluded_flags: &[],
            profile: None,
            bpf_map_write: &[],
            auto_repro: false,
            replicas: 1,
            assert: Assert::unset(),
            expect_err: None,
        }
    }

    /// The test on a preset's machine.
    #[must_use]
    pub fn on(&self, preset: &'static Preset) -> Self {
        let Preset { numa_nodes, llcs, cores_per_llc, threads_per_core, .. } = *preset;
        Self {
            preset: Some(preset.name),
            topology: Topology { numa_nodes, llcs, cores_per_llc, threads_per_core },
            node_llcs: preset.node_llcs,
            node_memory_mb: preset.node_memory_mb,
            memory_only_nodes_mb: preset.memory_only_nodes_mb,
            distances: preset.distances,
            ..self.clone()
        }
    }

    /// The test with these flags of its scheduler.
    #[must_use]
    pub fn with(&self, profile: Option<Profile>) -> Self {
        Self { profile, ..self.clone() }
    }

    /// The machine as declared. The nodes that have CPUs share `memory_bytes` where the test does not say what they have.
    pub fn machine(&self, memory_bytes: u64) -> Machine {
        let bytes = |mb: &[u32]| mb.iter().map(|mb| u64::from(*mb) << 20).collect::<Vec<u64>>();
        let declared = self.memory_mb.map(|mb| u64::from(mb) << 20);
        let memory_bytes = match self.preset {
            // What does for the declared machine is the least for a larger one.
            Some(_) => memory_bytes.max(declared.unwrap_or(0)),
            None => declared.unwrap_or(memory_bytes),
        };
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

    /// The name of the test as declared: its path without the crate.
    pub fn test(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_crate, name)| name)
    }

    /// The name by which a test runner knows it, see [`Record::name`](crate::Record::name).
    pub fn name(&self) -> String {
        test_name(self.test(), self.preset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_presets::PRESETS;
    use std::collections::HashSet;

    fn spec(memory_mb: Option<u32>) -> TestSpec {
        TestSpec { memory_mb, ..TestSpec::new("a::b::c", Topology::new(1, 1, 1)) }
    }

    #[test]
    fn every_preset_is_a_machine_of_its_own() {
        let machine = |preset: &'static Preset| spec(None).on(preset).machine(1 << 30);
        for preset in PRESETS {
            assert_eq!(machine(preset).validate(), Ok(()), "{}", preset.name);
            assert_eq!(machine(preset).topology.cpus(), preset.cpus());
        }
        let names: HashSet<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        let machines: HashSet<String> = PRESETS.iter().map(|preset| format!("{:?}", machine(preset))).collect();
        assert_eq!((names.len(), machines.len()), (PRESETS.len(), PRESETS.len()));
    }

    #[test]
    fn a_variant_has_the_name_of_its_function() {
        let variant = spec(None).on(ktstr_presets::named("numa-2x4").unwrap());
        assert_eq!((variant.test(), variant.name().as_str()), ("b::c", "b::c::numa_2x4"));
        assert_eq!(spec(None).name(), "b::c");
    }

    #[test]
    fn a_preset_has_no_less_memory_than_its_cpus_or_the_test_need() {
        let mib = |spec: TestSpec| spec.machine(1 << 30).memory_bytes() >> 20;
        let preset = ktstr_presets::named("large-8llc").unwrap();
        assert_eq!(
            (mib(spec(Some(512))), mib(spec(Some(512)).on(preset)), mib(spec(Some(4096)).on(preset))),
            (512, 1024, 4096)
        );
    }
}
