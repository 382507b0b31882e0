//! Which workers there are to be.

use crate::def::Work;
use ktstr_wire::CpuSet;

/// Workers of one cgroup that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadConfig {
    /// The cgroup, which must exist; none for workers that stay where the caller is, outside of the test's cgroups.
    pub cgroup: Option<String>,
    /// How many workers; [`Work::workers`] is not looked at.
    pub workers: u32,
    /// What they are and do.
    pub work: Work,
    /// CPUs of each worker (sched_setaffinity(2)); those beyond the end of the list keep what they inherit.
    pub cpus: Vec<CpuSet>,
    /// Seed of what they compute.
    pub seed: u64,
}

impl WorkloadConfig {
    /// Workers that inherit their CPUs.
    pub fn new(cgroup: impl Into<String>, workers: u32, work: Work, seed: u64) -> Self {
        Self { cgroup: Some(cgroup.into()), ..Self::outside(workers, work, seed) }
    }

    /// Workers that are in no cgroup of the test.
    pub fn outside(workers: u32, work: Work, seed: u64) -> Self {
        Self { cgroup: None, workers, work, cpus: Vec::new(), seed }
    }
}

/// Where workers are, in words.
pub(super) fn place(cgroup: Option<&str>) -> String {
    cgroup.map_or_else(|| "no cgroup".to_owned(), |cgroup| format!("cgroup {cgroup}"))
}
