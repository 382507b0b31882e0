//! What can be done to cgroups, workers and CPUs while a scenario runs.

use crate::scheduler::{BpfMapWrite, MapWriteText};
use ktstr_wire::scheduler::TimedMapWrite;
use ktstr_workload::{AffinityKind, CgroupDef, CpuMax, CpusetSpec, SchedPolicy, Work};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One change. Cgroups are named by their path below the test's parent cgroup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Op {
    /// Makes an empty cgroup, and those above it that are not there.
    AddCgroup {
        /// The cgroup.
        cgroup: String,
    },
    /// Stops the cgroup's workers and removes it. What they measured until then counts.
    RemoveCgroup {
        /// The cgroup.
        cgroup: String,
    },
    /// Sets `cpuset.cpus`.
    SetCpuset {
        /// The cgroup.
        cgroup: String,
        /// Its CPUs.
        cpus: CpusetSpec,
    },
    /// Clears `cpuset.cpus`: the cgroup has the CPUs of the one above it.
    ClearCpuset {
        /// The cgroup.
        cgroup: String,
    },
    /// Each of two cgroups gets what the other has in `cpuset.cpus`.
    SwapCpusets {
        /// One.
        a: String,
        /// The other.
        b: String,
    },
    /// Adds workers, which begin at once.
    Spawn {
        /// The cgroup.
        cgroup: String,
        /// The workers.
        work: Work,
    },
    /// Stops the cgroup's workers, thawing it before. What they measured until then counts.
    StopCgroup {
        /// The cgroup.
        cgroup: String,
    },
    /// Sets the CPUs that the cgroup's workers may use.
    SetAffinity {
        /// The cgroup.
        cgroup: String,
        /// Which of its CPUs.
        affinity: AffinityKind,
    },
    /// Adds workers outside of every cgroup of the test, which begin at once.
    SpawnHost {
        /// The workers.
        work: Work,
    },
    /// Moves the workers of one cgroup to another.
    MoveAllTasks {
        /// Where they are.
        from: String,
        /// Where they go.
        to: String,
    },
    /// Sets `cpu.weight`, 1 to 10000.
    SetWeight {
        /// The cgroup.
        cgroup: String,
        /// Its share against its siblings'.
        weight: u32,
    },
    /// Sets `cpu.max`, or lifts it.
    SetMax {
        /// The cgroup.
        cgroup: String,
        /// Its limit.
        max: Option<CpuMax>,
    },
    /// Sets `cpu.uclamp.min` and `cpu.uclamp.max`, in percent.
    SetUclamp {
        /// The cgroup.
        cgroup: String,
        /// The lower clamp.
        min_pct: f64,
        /// The upper clamp.
        max_pct: f64,
    },
    /// Sets the scheduling policy of the cgroup's workers.
    SetPolicy {
        /// The cgroup.
        cgroup: String,
        /// Their policy.
        policy: SchedPolicy,
    },
    /// Freezes the cgroup's workers. They have a gap then, as long as it lasts.
    Freeze {
        /// The cgroup.
        cgroup: String,
    },
    /// Lets them go on.
    Thaw {
        /// The cgroup.
        cgroup: String,
    },
    /// Takes a CPU offline. It comes back at the scenario's end at the latest, whatever happens.
    CpuOffline {
        /// Its number.
        cpu: u32,
    },
    /// Brings a CPU back that the scenario took offline.
    CpuOnline {
        /// Its number.
        cpu: u32,
    },
    /// Stops the scheduler that runs, and starts another one of the test's. The one that runs can be named, too.
    SwitchScheduler {
        /// Its name, as `scheduler` or `schedulers` of the test has it.
        scheduler: String,
    },
    /// Stops the scheduler that runs and starts it again.
    RestartScheduler,
    /// Stops the scheduler that runs: the kernel's own has all tasks then.
    StopScheduler,
    /// Writes into a BPF map of the scheduler that runs.
    WriteMap {
        /// What, and where.
        write: TimedMapWrite,
    },
}

/// Short forms of the variants.
impl Op {
    /// [`Op::AddCgroup`].
    pub fn add_cgroup(cgroup: impl Into<String>) -> Self {
        Self::AddCgroup { cgroup: cgroup.into() }
    }

    /// [`Op::RemoveCgroup`].
    pub fn remove_cgroup(cgroup: impl Into<String>) -> Self {
        Self::RemoveCgroup { cgroup: cgroup.into() }
    }

    /// [`Op::SetCpuset`].
    pub fn set_cpuset(cgroup: impl Into<String>, cpus: CpusetSpec) -> Self {
        Self::SetCpuset { cgroup: cgroup.into(), cpus }
    }

    /// [`Op::ClearCpuset`].
    pub fn clear_cpuset(cgroup: impl Into<String>) -> Self {
        Self::ClearCpuset { cgroup: cgroup.into() }
    }

    /// [`Op::SwapCpusets`].
    pub fn swap_cpusets(a: impl Into<String>, b: impl Into<String>) -> Self {
        Self::SwapCpusets { a: a.into(), b: b.into() }
    }

    /// [`Op::Spawn`].
    pub fn spawn(cgroup: impl Into<String>, work: Work) -> Self {
        Self::Spawn { cgroup: cgroup.into(), work }
    }

    /// [`Op::StopCgroup`].
    pub fn stop_cgroup(cgroup: impl Into<String>) -> Self {
        Self::StopCgroup { cgroup: cgroup.into() }
    }

    /// [`Op::SetAffinity`].
    pub fn set_affinity(cgroup: impl Into<String>, affinity: AffinityKind) -> Self {
        Self::SetAffinity { cgroup: cgroup.into(), affinity }
    }

    /// [`Op::SpawnHost`].
    pub fn spawn_host(work: Work) -> Self {
        Self::SpawnHost { work }
    }

    /// [`Op::MoveAllTasks`].
    pub fn move_all_tasks(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self::MoveAllTasks { from: from.into(), to: to.into() }
    }

    /// [`Op::SetWeight`].
    pub fn set_weight(cgroup: impl Into<String>, weight: u32) -> Self {
        Self::SetWeight { cgroup: cgroup.into(), weight }
    }

    /// [`Op::SetMax`]; both in microseconds.
    pub fn set_max(cgroup: impl Into<String>, quota_us: u64, period_us: u64) -> Self {
        Self::SetMax { cgroup: cgroup.into(), max: Some(CpuMax { quota_us, period_us }) }
    }

    /// [`Op::SetMax`] without a limit.
    pub fn lift_max(cgroup: impl Into<String>) -> Self {
        Self::SetMax { cgroup: cgroup.into(), max: None }
    }

    /// [`Op::SetUclamp`].
    pub fn set_uclamp(cgroup: impl Into<String>, min_pct: f64, max_pct: f64) -> Self {
        Self::SetUclamp { cgroup: cgroup.into(), min_pct, max_pct }
    }

    /// [`Op::SetPolicy`].
    pub fn set_policy(cgroup: impl Into<String>, policy: SchedPolicy) -> Self {
        Self::SetPolicy { cgroup: cgroup.into(), policy }
    }

    /// [`Op::Freeze`].
    pub fn freeze(cgroup: impl Into<String>) -> Self {
        Self::Freeze { cgroup: cgroup.into() }
    }

    /// [`Op::Thaw`].
    pub fn thaw(cgroup: impl Into<String>) -> Self {
        Self::Thaw { cgroup: cgroup.into() }
    }

    /// [`Op::CpuOffline`].
    pub fn cpu_offline(cpu: u32) -> Self {
        Self::CpuOffline { cpu }
    }

    /// [`Op::CpuOnline`].
    pub fn cpu_online(cpu: u32) -> Self {
        Self::CpuOnline { cpu }
    }

    /// [`Op::SwitchScheduler`].
    pub fn switch_scheduler(scheduler: impl Into<String>) -> Self {
        Self::SwitchScheduler { scheduler: scheduler.into() }
    }

    /// [`Op::WriteMap`], at once: a write that has a time of its own is refused.
    pub fn write_map(write: &BpfMapWrite) -> Self {
        Self::WriteMap { write: write.timed() }
    }

    /// What makes a declared cgroup: its making, its limits, its workers.
    pub(super) fn of_def(def: &CgroupDef) -> Vec<Self> {
        let name = def.name();
        let mut ops = vec![Self::add_cgroup(name)];
        ops.extend(def.cpuset.clone().map(|cpus| Self::set_cpuset(name, cpus)));
        ops.extend(def.cpu_weight.map(|weight| Self::set_weight(name, weight)));
        ops.extend(def.cpu_max.map(|max| Self::SetMax { cgroup: name.to_owned(), max: Some(max) }));
        ops.extend(def.uclamp.map(|(min_pct, max_pct)| Self::set_uclamp(name, min_pct, max_pct)));
        ops.extend(def.works().into_iter().map(|work| Self::spawn(name, work)));
        ops
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddCgroup { cgroup } => write!(f, "AddCgroup {cgroup}"),
            Self::RemoveCgroup { cgroup } => write!(f, "RemoveCgroup {cgroup}"),
            Self::SetCpuset { cgroup, cpus: CpusetSpec::Exact(cpus) } => write!(f, "SetCpuset {cgroup} {cpus}"),
            Self::SetCpuset { cgroup, cpus } => write!(f, "SetCpuset {cgroup} {cpus:?}"),
            Self::ClearCpuset { cgroup } => write!(f, "ClearCpuset {cgroup}"),
            Self::SwapCpusets { a, b } => write!(f, "SwapCpusets {a} {b}"),
            Self::Spawn { cgroup, work } => write!(f, "Spawn {cgroup} {}", Workers(work)),
            Self::StopCgroup { cgroup } => write!(f, "StopCgroup {cgroup}"),
            Self::SetAffinity { cgroup, affinity: AffinityKind::Exact(cpus) } => {
                write!(f, "SetAffinity {cgroup} {cpus}")
            }
            Self::SetAffinity { cgroup, affinity } => write!(f, "SetAffinity {cgroup} {affinity:?}"),
            Self::SpawnHost { work } => write!(f, "SpawnHost {}", Workers(work)),
            Self::MoveAllTasks { from, to } => write!(f, "MoveAllTasks {from} {to}"),
            Self::SetWeight { cgroup, weight } => write!(f, "SetWeight {cgroup} {weight}"),
            Self::SetMax { cgroup, max: None } => write!(f, "SetMax {cgroup} max"),
            Self::SetMax { cgroup, max: Some(CpuMax { quota_us, period_us }) } => {
                write!(f, "SetMax {cgroup} {quota_us}/{period_us} us")
            }
            Self::SetUclamp { cgroup, min_pct, max_pct } => write!(f, "SetUclamp {cgroup} {min_pct}-{max_pct} %"),
            Self::SetPolicy { cgroup, policy } => write!(f, "SetPolicy {cgroup} {policy:?}"),
            Self::Freeze { cgroup } => write!(f, "Freeze {cgroup}"),
            Self::Thaw { cgroup } => write!(f, "Thaw {cgroup}"),
            Self::CpuOffline { cpu } => write!(f, "CpuOffline {cpu}"),
            Self::CpuOnline { cpu } => write!(f, "CpuOnline {cpu}"),
            Self::SwitchScheduler { scheduler } => write!(f, "SwitchScheduler {scheduler}"),
            Self::RestartScheduler => f.write_str("RestartScheduler"),
            Self::StopScheduler => f.write_str("StopScheduler"),
            Self::WriteMap { write } => write!(f, "WriteMap {}", MapWriteText(&write.write)),
        }
    }
}

/// `2 cpu_spin`; as many as the test declares where no number is given.
struct Workers<'a>(&'a Work);

impl fmt::Display for Workers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(count) = self.0.workers {
            write!(f, "{count} ")?;
        }
        f.write_str(self.0.work_type.name())
    }
}
