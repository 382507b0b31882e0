//! What the kernel says of cgroups and CPUs over one phase of a scenario: what checks hold workers' reports against.

use ktstr_wire::CpuSet;
use ktstr_workload::CpuMax;
use serde::{Deserialize, Serialize};

/// One cgroup in one phase.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CgroupFacts {
    /// Its path below the test's parent cgroup.
    pub cgroup: String,
    /// `cpuset.cpus.effective` at the end: CPUs that are offline are not in it.
    pub cpuset: CpuSet,
    /// Every CPU that was in it at some time of the phase.
    pub allowed: CpuSet,
    /// `cpu.weight` at the end.
    pub weight: u32,
    /// `cpu.max` at the end, where there is a limit.
    pub max: Option<CpuMax>,
    /// Whether it was frozen at the end.
    pub frozen: bool,
    /// Whether all of this was the same throughout, as far as the scenario knows: nothing that it did in the phase,
    /// beyond what it did before the measuring began, changed a cgroup or which CPUs are online.
    pub steady: bool,
    /// What `cpu.stat` added up meanwhile, descendants included.
    pub stat: CpuStat,
}

/// Differences of `cpu.stat` (Documentation/admin-guide/cgroup-v2.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuStat {
    /// The time from the look at it at the phase's beginning to the one at its end, which is a little more than the phase.
    #[serde(default)]
    pub over_us: u64,
    /// CPU time used.
    pub usage_us: u64,
    /// Periods of `cpu.max` in which the cgroup ran.
    pub nr_periods: u64,
    /// Periods in which it used up its quota.
    pub nr_throttled: u64,
    /// Time that its runqueues were throttled, summed over CPUs.
    pub throttled_us: u64,
}

/// A stretch in which the scenario's own thread, whose priority is real-time, kept workers from a CPU: the kernel is long
/// over its list of all CPUs, and an emulated CPU beside many others has its turn seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OwnTime {
    /// The CPU.
    pub cpu: u32,
    /// When it began, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// How long it was.
    pub length_ns: u64,
}

impl OwnTime {
    /// How much of it is on that CPU and within so many nanoseconds from a moment on.
    pub(crate) fn within(&self, cpu: u32, from_ns: u64, length_ns: u64) -> u64 {
        let end_ns = |from_ns: u64, length_ns: u64| from_ns.saturating_add(length_ns);
        let (from, to) =
            (self.from_ns.max(from_ns), end_ns(self.from_ns, self.length_ns).min(end_ns(from_ns, length_ns)));
        if self.cpu == cpu { to.saturating_sub(from) } else { 0 }
    }
}

/// One CPU in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuFacts {
    /// Its number.
    pub cpu: u32,
    /// Whether it was online at the beginning and at the end.
    pub online: bool,
    /// Time in which it had nothing to run (`/proc/stat`, idle and iowait), in steps of 10 ms; nothing for one that was
    /// not online at both ends.
    pub idle_ms: u64,
}
