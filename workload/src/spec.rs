//! How a worker is scheduled, and on which CPUs.

use crate::error::Error;
use ktstr_wire::{CpuSet, Machine};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The CPUs of a cgroup (`cpuset.cpus`), by the machine's topology.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CpusetSpec {
    /// All CPUs of the LLC of this number.
    Llc(u32),
    /// All CPUs of the NUMA node of this number.
    Numa(u32),
    /// This part of all CPUs, from 0 to 1.
    Range {
        /// Where it begins.
        start_frac: f64,
        /// Where it ends.
        end_frac: f64,
    },
    /// One of `of` equal parts of all CPUs.
    Disjoint {
        /// Which one, from 0.
        index: u32,
        /// How many there are.
        of: u32,
    },
    /// One of `of` equal parts of all CPUs, and as much more of the next one, or of the last but one for the last.
    Overlap {
        /// Which one, from 0.
        index: u32,
        /// How many there are.
        of: u32,
        /// How much more, as a share of a part.
        frac: f64,
    },
    /// These.
    Exact(CpuSet),
}

/// The CPUs that a worker may use (sched_setaffinity(2)), out of those of its cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AffinityKind {
    /// All of them.
    #[default]
    Inherit,
    /// Some of them, at least one, by the seed.
    RandomSubset,
    /// Those of one LLC; workers take the LLCs by turns.
    LlcAligned,
    /// All CPUs of the machine, those of other cgroups included: the kernel allows what the cpuset has of them.
    CrossCgroup,
    /// One; workers take them by turns.
    SingleCpu,
    /// These.
    Exact(CpuSet),
}

/// A scheduling policy (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SchedPolicy {
    /// `SCHED_OTHER`.
    #[default]
    Normal,
    /// `SCHED_BATCH`.
    Batch,
    /// `SCHED_IDLE`.
    Idle,
    /// `SCHED_FIFO` with this priority, 1 to 99.
    Fifo(u32),
    /// `SCHED_RR` with this priority, 1 to 99.
    RoundRobin(u32),
    /// `SCHED_DEADLINE`.
    Deadline {
        /// CPU time in each period.
        runtime: Duration,
        /// By when after the beginning of each period.
        deadline: Duration,
        /// The period.
        period: Duration,
    },
    /// `SCHED_EXT`, which is `SCHED_OTHER` where no sched_ext scheduler is loaded.
    Ext,
}

/// What a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum WorkerKind {
    /// A process.
    #[default]
    Process,
    /// A thread of one process that all such workers of a [`Work`](crate::Work) share.
    Thread,
}

impl CpusetSpec {
    /// The CPUs of `machine` that this names.
    ///
    /// # Errors
    /// [`Error::NoCpus`] when there is no such part, or it has no CPU.
    pub fn resolve(&self, machine: &Machine) -> Result<CpuSet, Error> {
        let cpus = self.cpus(machine);
        let all = machine.topology.cpus();
        if cpus.is_empty() || cpus.iter().any(|cpu| cpu >= all) {
            return Err(Error::NoCpus { what: format!("{self:?}"), topology: machine.topology });
        }
        Ok(cpus)
    }

    fn cpus(&self, machine: &Machine) -> CpuSet {
        let all = machine.topology.cpus();
        let part = |from: f64, to: f64| -> CpuSet {
            let at = |share: f64| (share.clamp(0.0, 1.0) * f64::from(all)).round() as u32;
            (at(from)..at(to)).collect()
        };
        match self {
            Self::Llc(llc) => {
                let each = machine.topology.cpus_per_llc();
                (llc.saturating_mul(each)..llc.saturating_add(1).saturating_mul(each)).take(all as usize).collect()
            }
            Self::Numa(node) => (0..all).filter(|cpu| machine.node_of_cpu(*cpu) == *node).collect(),
            Self::Range { start_frac, end_frac } => part(*start_frac, *end_frac),
            Self::Disjoint { index, of } if index < of => {
                let each = 1.0 / f64::from(*of);
                part(f64::from(*index) * each, f64::from(index + 1) * each)
            }
            Self::Overlap { index, of, frac } if index < of => {
                let each = 1.0 / f64::from(*of);
                let (from, to) = (f64::from(*index) * each, f64::from(index + 1) * each);
                if index + 1 < *of { part(from, to + frac * each) } else { part(from - frac * each, to) }
            }
            Self::Disjoint { .. } | Self::Overlap { .. } => CpuSet::default(),
            Self::Exact(cpus) => cpus.clone(),
        }
    }
}

impl AffinityKind {
    /// The CPUs for worker number `index` of a cgroup that has `cpuset`; `None` when it takes what it inherits.
    pub fn resolve(
        &self,
        machine: &Machine,
        cpuset: &CpuSet,
        index: u32,
        random: &mut fastrand::Rng,
    ) -> Option<CpuSet> {
        let own: Vec<u32> = cpuset.iter().collect();
        let turn = |count: usize| index as usize % count.max(1);
        match self {
            Self::Inherit => None,
            Self::RandomSubset => {
                let count = random.usize(1..=own.len().max(1));
                Some(random.choose_multiple(own, count).into_iter().collect())
            }
            Self::LlcAligned => {
                let llc_of = |cpu: u32| cpu / machine.topology.cpus_per_llc().max(1);
                let mut llcs: Vec<u32> = own.iter().map(|cpu| llc_of(*cpu)).collect();
                llcs.dedup();
                let llc = *llcs.get(turn(llcs.len()))?;
                Some(own.into_iter().filter(|cpu| llc_of(*cpu) == llc).collect())
            }
            Self::CrossCgroup => Some((0..machine.topology.cpus()).collect()),
            Self::SingleCpu => own.get(turn(own.len())).map(|cpu| CpuSet::from_iter([*cpu])),
            Self::Exact(cpus) => Some(cpus.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    fn machine() -> Machine {
        Machine::new(Topology { numa_nodes: 2, ..Topology::new(3, 2, 2) }, 1 << 30)
    }

    fn check(spec: CpusetSpec, expected: &str) {
        assert_eq!(spec.resolve(&machine()).map_or_else(|_| "none".to_owned(), |cpus| cpus.to_string()), expected);
    }

    #[test]
    fn cpusets_follow_the_topology() {
        check(CpusetSpec::Llc(2), "8-11");
        check(CpusetSpec::Llc(3), "none");
        check(CpusetSpec::Llc(u32::MAX), "none");
        check(CpusetSpec::Numa(0), "0-7");
        check(CpusetSpec::Numa(2), "none");
        check(CpusetSpec::Range { start_frac: 0.5, end_frac: 0.75 }, "6-8");
        check(CpusetSpec::Range { start_frac: 0.5, end_frac: 0.5 }, "none");
        check(CpusetSpec::Disjoint { index: 1, of: 5 }, "2-4");
        check(CpusetSpec::Disjoint { index: 5, of: 5 }, "none");
        check(CpusetSpec::Overlap { index: 0, of: 2, frac: 0.5 }, "0-8");
        check(CpusetSpec::Overlap { index: 1, of: 2, frac: 0.5 }, "3-11");
        check(CpusetSpec::Exact([1, 5].into_iter().collect()), "1,5");
        check(CpusetSpec::Exact([12].into_iter().collect()), "none");
    }

    #[test]
    fn disjoint_parts_are_all_cpus() {
        for of in 1..=12 {
            let parts = (0..of).map(|index| CpusetSpec::Disjoint { index, of }.resolve(&machine()).unwrap());
            let cpus: Vec<u32> = parts.flat_map(|part| part.iter().collect::<Vec<_>>()).collect();
            assert_eq!(cpus, (0..12).collect::<Vec<_>>(), "{of}");
        }
    }

    #[test]
    fn affinities_stay_in_the_cpuset() {
        let cpuset: CpuSet = "2-9".parse().unwrap();
        let cpus = |kind: AffinityKind, index| {
            let random = &mut fastrand::Rng::with_seed(1);
            kind.resolve(&machine(), &cpuset, index, random).map(|cpus| cpus.to_string())
        };
        assert_eq!(cpus(AffinityKind::Inherit, 0), None);
        assert_eq!(cpus(AffinityKind::LlcAligned, 0).unwrap(), "2-3");
        assert_eq!(cpus(AffinityKind::LlcAligned, 5).unwrap(), "8-9");
        assert_eq!(cpus(AffinityKind::SingleCpu, 9).unwrap(), "3");
        assert_eq!(cpus(AffinityKind::CrossCgroup, 0).unwrap(), "0-11");
        for seed in 0..50 {
            let random = &mut fastrand::Rng::with_seed(seed);
            let some = AffinityKind::RandomSubset.resolve(&machine(), &cpuset, 0, random).unwrap();
            assert!(!some.is_empty() && some.is_subset(&cpuset), "{some}");
        }
    }
}
