//! What runs in a cgroup, as data.

use crate::spec::{AffinityKind, CpusetSpec, SchedPolicy, WorkerKind};
use crate::work_type::WorkType;
use serde::{Deserialize, Serialize};

/// A cgroup, its limits and its workers.
///
/// [`CgroupDef::workers`], [`CgroupDef::work_type`] and the like describe one group of workers; [`CgroupDef::work`] adds
/// others. A cgroup for which neither is called has one group of the default kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct CgroupDef {
    /// Path below the test's parent cgroup; those above it are made too.
    pub name: String,
    /// `cpuset.cpus`; all when not set.
    pub cpuset: Option<CpusetSpec>,
    /// `cpu.weight`, 1 to 10000; the kernel's default is 100.
    pub cpu_weight: Option<u32>,
    /// `cpu.max`: CPU time in each period, in microseconds.
    pub cpu_max: Option<CpuMax>,
    /// `cpu.uclamp.min` and `cpu.uclamp.max`, in percent.
    pub uclamp: Option<(f64, f64)>,
    /// The group that the cgroup's own methods describe.
    own: Option<Work>,
    /// The groups that were added.
    added: Vec<Work>,
}

/// A cgroup's bandwidth limit (Documentation/admin-guide/cgroup-v2.rst, `cpu.max`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuMax {
    /// CPU time that all tasks of the cgroup may use together in each period, in microseconds.
    pub quota_us: u64,
    /// The period in microseconds.
    pub period_us: u64,
}

/// Workers that are alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Work {
    /// How many; by default as many as the test declares for each cgroup.
    pub workers: Option<u32>,
    /// What they do.
    pub work_type: WorkType,
    /// Their scheduling policy.
    pub sched_policy: SchedPolicy,
    /// On which CPUs of their cgroup.
    pub affinity: AffinityKind,
    /// Their nice value, -20 to 19.
    pub nice: i32,
    /// Processes or threads.
    pub kind: WorkerKind,
}

impl Work {
    /// Workers that do this.
    pub fn new(work_type: WorkType) -> Self {
        Self { work_type, ..Self::default() }
    }

    /// How many.
    #[must_use]
    pub fn workers(mut self, count: u32) -> Self {
        self.workers = Some(count);
        self
    }

    /// What they do.
    #[must_use]
    pub fn work_type(mut self, work_type: WorkType) -> Self {
        self.work_type = work_type;
        self
    }

    /// How many workers that are: as many as it says, or the number nearest to `by_default` that its work type takes.
    pub fn count(&self, by_default: u32) -> u32 {
        self.workers.unwrap_or_else(|| self.work_type.team_size().fit(by_default))
    }

    /// Their scheduling policy.
    #[must_use]
    pub fn sched_policy(mut self, policy: SchedPolicy) -> Self {
        self.sched_policy = policy;
        self
    }

    /// On which CPUs.
    #[must_use]
    pub fn affinity(mut self, affinity: AffinityKind) -> Self {
        self.affinity = affinity;
        self
    }

    /// Their nice value, -20 to 19.
    #[must_use]
    pub fn nice(mut self, nice: i32) -> Self {
        self.nice = nice;
        self
    }

    /// Threads of one process instead of processes.
    #[must_use]
    pub fn threads(mut self) -> Self {
        self.kind = WorkerKind::Thread;
        self
    }
}

impl CgroupDef {
    /// A cgroup of this name, or path, below the test's parent cgroup.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Its CPUs.
    #[must_use]
    pub fn with_cpuset(mut self, cpuset: CpusetSpec) -> Self {
        self.cpuset = Some(cpuset);
        self
    }

    /// Its share of the CPUs against its siblings', 1 to 10000; the kernel's default is 100.
    #[must_use]
    pub fn cpu_weight(mut self, weight: u32) -> Self {
        self.cpu_weight = Some(weight);
        self
    }

    /// At most this CPU time in each period, both in microseconds.
    #[must_use]
    pub fn cpu_max(mut self, quota_us: u64, period_us: u64) -> Self {
        self.cpu_max = Some(CpuMax { quota_us, period_us });
        self
    }

    /// Its utilisation clamps in percent, from 0 to 100.
    #[must_use]
    pub fn uclamp(mut self, min_pct: impl Into<f64>, max_pct: impl Into<f64>) -> Self {
        self.uclamp = Some((min_pct.into(), max_pct.into()));
        self
    }

    /// How many workers it has; by default as many as the test declares for each cgroup.
    #[must_use]
    pub fn workers(self, count: u32) -> Self {
        self.with_own(|work| work.workers(count))
    }

    /// What these do.
    #[must_use]
    pub fn work_type(self, work_type: WorkType) -> Self {
        self.with_own(|work| work.work_type(work_type))
    }

    /// Their scheduling policy.
    #[must_use]
    pub fn sched_policy(self, policy: SchedPolicy) -> Self {
        self.with_own(|work| work.sched_policy(policy))
    }

    /// On which of the cgroup's CPUs they run.
    #[must_use]
    pub fn affinity(self, affinity: AffinityKind) -> Self {
        self.with_own(|work| work.affinity(affinity))
    }

    /// Their nice value, -20 to 19.
    #[must_use]
    pub fn nice(self, nice: i32) -> Self {
        self.with_own(|work| work.nice(nice))
    }

    /// Threads of one process instead of processes.
    #[must_use]
    pub fn threads(self) -> Self {
        self.with_own(Work::threads)
    }

    /// Other workers beside these; may be called several times.
    #[must_use]
    pub fn work(mut self, work: Work) -> Self {
        self.added.push(work);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its groups of workers.
    pub fn works(&self) -> Vec<Work> {
        let default = (self.own.is_none() && self.added.is_empty()).then(Work::default);
        self.own.iter().chain(&default).chain(&self.added).cloned().collect()
    }

    fn with_own(mut self, change: impl FnOnce(Work) -> Work) -> Self {
        self.own = Some(change(self.own.unwrap_or_default()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_has_the_workers_that_it_was_given() {
        let counts = |def: CgroupDef| def.works().into_iter().map(|work| work.workers).collect::<Vec<_>>();
        assert_eq!(counts(CgroupDef::named("a")), [None]);
        assert_eq!(counts(CgroupDef::named("a").nice(3).workers(2)), [Some(2)]);
        assert_eq!(counts(CgroupDef::named("a").work(Work::default().workers(5))), [Some(5)]);
        assert_eq!(counts(CgroupDef::named("a").work(Work::default().workers(5)).workers(1)), [Some(1), Some(5)]);
        assert_eq!(counts(CgroupDef::named("a").workers(0)), [Some(0)]);
    }
}
