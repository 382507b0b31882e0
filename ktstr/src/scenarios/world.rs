//! What a scenario will find when it gets to an op, worked out before anything starts.

use crate::guest::{Known, Named};
use crate::scenarios::op::Op;
use ktstr_wire::CpuSet;
use ktstr_wire::scheduler::TimedMapWrite;
use ktstr_workload::CpuMax;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

const PERCENT: &str = "from 0 to 100";

/// Why an op cannot be done where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The cgroup is not there.
    #[error("there is no cgroup {cgroup} then")]
    NoSuchCgroup {
        /// Its name.
        cgroup: String,
    },
    /// The cgroup is there already.
    #[error("there is a cgroup {cgroup} already")]
    Exists {
        /// Its name.
        cgroup: String,
    },
    /// A name that is no path below the test's parent cgroup.
    #[error("{cgroup:?} cannot name a cgroup: use path components without `.` or `..`, separated by `/`")]
    BadName {
        /// The name.
        cgroup: String,
    },
    /// Only cgroups without others below them can have workers, and only empty ones can be removed.
    #[error("cgroup {cgroup} has {below} below it then")]
    NotALeaf {
        /// The cgroup.
        cgroup: String,
        /// One below it.
        below: String,
    },
    /// Only cgroups without workers can have others below them.
    #[error("cgroup {cgroup} has workers then, so none can be below it")]
    HasWorkers {
        /// The cgroup.
        cgroup: String,
    },
    /// Nothing would be done.
    #[error("cgroup {cgroup} has no workers then")]
    NoWorkers {
        /// The cgroup.
        cgroup: String,
    },
    /// Workers that cannot run cannot begin or move.
    #[error("cgroup {cgroup} is frozen then: thaw it first")]
    Frozen {
        /// The cgroup.
        cgroup: String,
    },
    /// The machine does not have it.
    #[error("the machine has no CPU {cpu}")]
    NoSuchCpu {
        /// The CPU.
        cpu: u32,
    },
    /// The kernel does not let go of it.
    #[error("this kernel cannot take CPU {cpu} offline: /sys/devices/system/cpu/cpu{cpu}/online is not there")]
    FixedCpu {
        /// The CPU.
        cpu: u32,
    },
    /// A machine must have one.
    #[error("CPU {cpu} is the only one that is online then")]
    LastCpu {
        /// The CPU.
        cpu: u32,
    },
    /// Nothing would be done.
    #[error("CPU {cpu} is {state} then")]
    NoChange {
        /// The CPU.
        cpu: u32,
        /// `online` or `offline`.
        state: &'static str,
    },
    /// A value that the kernel does not take.
    #[error("{what} cannot be {value}: it must be {allowed}")]
    OutOfRange {
        /// What is set.
        what: &'static str,
        /// As given.
        value: String,
        /// What it takes.
        allowed: &'static str,
    },
    /// No such scheduler was packed.
    #[error("{0}")]
    NoSuchScheduler(String),
    /// Nothing would be done.
    #[error("no scheduler of the test runs then")]
    NoScheduler,
    /// Only programs have maps.
    #[error("the scheduler {scheduler}, which runs then, is part of the kernel and has no maps")]
    NoMaps {
        /// The scheduler.
        scheduler: String,
    },
    /// An op has its time by its place.
    #[error("an op is done when its turn comes: leave out `after`")]
    TimedWrite,
    /// A part of the machine that it does not have.
    #[error("{0}")]
    NoCpus(String),
}

/// Cgroups, workers and CPUs as they will be.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    cgroups: BTreeMap<String, Cgroup>,
    /// Every CPU of the machine.
    cpus: CpuSet,
    /// Those that the kernel can take offline.
    removable: CpuSet,
    offline: CpuSet,
    schedulers: Known,
    /// The number of the scheduler that runs.
    running: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cgroup {
    /// Asked for by itself, and not only as one that is above another.
    declared: bool,
    workers: u32,
    frozen: bool,
}

impl World {
    /// A machine with these CPUs, all online, of which the kernel can take some offline.
    pub(super) fn new(cpus: CpuSet, removable: CpuSet) -> Self {
        Self { cpus, removable, ..Self::default() }
    }

    /// The same with schedulers, of which the first runs.
    pub(super) fn with_schedulers(self, known: &Known) -> Self {
        Self { running: known.first, schedulers: known.clone(), ..self }
    }

    /// The same after `op`, whose numbers of workers are all given.
    pub(super) fn apply(&mut self, op: &Op) -> Result<(), Refused> {
        match op {
            Op::AddCgroup { cgroup } => self.add(cgroup),
            Op::RemoveCgroup { cgroup } => self.remove(cgroup),
            Op::SetCpuset { cgroup, .. } | Op::ClearCpuset { cgroup } => self.get(cgroup).map(drop),
            Op::SwapCpusets { a, b } => self.get(a).and(self.get(b)).map(drop),
            Op::Spawn { cgroup, work } => self.fill(cgroup, work.workers.unwrap_or_default()),
            Op::StopCgroup { cgroup } => self.workers(cgroup).map(|cgroup| cgroup.workers = 0),
            Op::SetAffinity { cgroup, .. } | Op::SetPolicy { cgroup, .. } => self.workers(cgroup).map(drop),
            Op::SpawnHost { .. } => Ok(()),
            Op::MoveAllTasks { from, to } => {
                let moved = std::mem::take(&mut self.workers(from)?.workers);
                self.fill(to, moved)
            }
            Op::SetWeight { cgroup, weight } => {
                self.get(cgroup).and(within("cpu.weight", *weight, 1..=10_000, "from 1 to 10000"))
            }
            Op::SetMax { cgroup, max } => self.get(cgroup).and(max.map_or(Ok(()), within_max)),
            Op::SetUclamp { cgroup, min_pct, max_pct } => self
                .get(cgroup)
                .and(within("cpu.uclamp.min", *min_pct, 0.0..=100.0, PERCENT))
                .and(within("cpu.uclamp.max", *max_pct, 0.0..=100.0, PERCENT)),
            Op::Freeze { cgroup } => self.get_mut(cgroup).map(|cgroup| cgroup.frozen = true),
            Op::Thaw { cgroup } => self.get_mut(cgroup).map(|cgroup| cgroup.frozen = false),
            Op::CpuOffline { cpu } => self.take_offline(*cpu),
            Op::CpuOnline { cpu } => self.bring_online(*cpu),
            Op::SwitchScheduler { scheduler } => {
                self.running = Some(self.schedulers.number(scheduler).map_err(Refused::NoSuchScheduler)?);
                Ok(())
            }
            Op::RestartScheduler => self.running.map(drop).ok_or(Refused::NoScheduler),
            Op::StopScheduler => self.running.take().map(drop).ok_or(Refused::NoScheduler),
            Op::WriteMap { write } => self.write_map(write),
        }
    }

    fn write_map(&self, write: &TimedMapWrite) -> Result<(), Refused> {
        let number = self.running.ok_or(Refused::NoScheduler)? as usize;
        match self.schedulers.schedulers.get(number) {
            Some(Named { name, is_program: false }) => Err(Refused::NoMaps { scheduler: name.clone() }),
            _ if write.after_ns > 0 => Err(Refused::TimedWrite),
            _ => Ok(()),
        }
    }

    fn get(&self, name: &str) -> Result<&Cgroup, Refused> {
        self.cgroups.get(name).ok_or_else(|| Refused::NoSuchCgroup { cgroup: name.to_owned() })
    }

    fn get_mut(&mut self, name: &str) -> Result<&mut Cgroup, Refused> {
        self.cgroups.get_mut(name).ok_or_else(|| Refused::NoSuchCgroup { cgroup: name.to_owned() })
    }

    fn workers(&mut self, name: &str) -> Result<&mut Cgroup, Refused> {
        let cgroup = self.get_mut(name)?;
        if cgroup.workers > 0 { Ok(cgroup) } else { Err(Refused::NoWorkers { cgroup: name.to_owned() }) }
    }

    fn add(&mut self, name: &str) -> Result<(), Refused> {
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Refused::BadName { cgroup: name.to_owned() });
        }
        for above in above(name) {
            let cgroup = self.cgroups.entry(above.to_owned()).or_default();
            if cgroup.workers > 0 {
                return Err(Refused::HasWorkers { cgroup: above.to_owned() });
            }
        }
        let cgroup = self.cgroups.entry(name.to_owned()).or_default();
        if std::mem::replace(&mut cgroup.declared, true) {
            return Err(Refused::Exists { cgroup: name.to_owned() });
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), Refused> {
        self.get(name)?;
        self.leaf(name)?;
        self.cgroups.remove(name);
        Ok(())
    }

    fn leaf(&self, name: &str) -> Result<(), Refused> {
        match self.cgroups.keys().find(|other| above(other).any(|above| above == name)) {
            Some(below) => Err(Refused::NotALeaf { cgroup: name.to_owned(), below: below.clone() }),
            None => Ok(()),
        }
    }

    fn fill(&mut self, name: &str, workers: u32) -> Result<(), Refused> {
        self.get(name)?;
        self.leaf(name)?;
        if let Some(frozen) = above(name).chain([name]).find(|name| self.get(name).is_ok_and(|cgroup| cgroup.frozen)) {
            return Err(Refused::Frozen { cgroup: frozen.to_owned() });
        }
        self.get_mut(name)?.workers += workers;
        Ok(())
    }

    fn take_offline(&mut self, cpu: u32) -> Result<(), Refused> {
        if !self.cpus.contains(cpu) {
            return Err(Refused::NoSuchCpu { cpu });
        }
        if self.offline.contains(cpu) {
            return Err(Refused::NoChange { cpu, state: "offline" });
        }
        if self.offline.len() + 1 == self.cpus.len() {
            return Err(Refused::LastCpu { cpu });
        }
        if !self.removable.contains(cpu) {
            return Err(Refused::FixedCpu { cpu });
        }
        self.offline.insert(cpu);
        Ok(())
    }

    fn bring_online(&mut self, cpu: u32) -> Result<(), Refused> {
        if !self.cpus.contains(cpu) {
            return Err(Refused::NoSuchCpu { cpu });
        }
        if !self.offline.contains(cpu) {
            return Err(Refused::NoChange { cpu, state: "online" });
        }
        self.offline = self.offline.iter().filter(|other| *other != cpu).collect();
        Ok(())
    }
}

/// The cgroups above one, the topmost first.
fn above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(end, _)| &name[..end])
}

/// The kernel's limits of `cpu.max` (kernel/sched/core.c, `tg_set_cfs_bandwidth`).
fn within_max(max: CpuMax) -> Result<(), Refused> {
    let most = u64::MAX / 1_000;
    within("the quota of cpu.max", max.quota_us, 1_000..=most, "at least 1000 us").and(within(
        "the period of cpu.max",
        max.period_us,
        1_000..=1_000_000,
        "from 1000 to 1000000 us",
    ))
}

fn within<T: PartialOrd + Display>(
    what: &'static str,
    value: T,
    range: RangeInclusive<T>,
    allowed: &'static str,
) -> Result<(), Refused> {
    if range.contains(&value) { Ok(()) } else { Err(Refused::OutOfRange { what, value: value.to_string(), allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::BpfMapWrite;
    use ktstr_workload::Work;
    use std::time::Duration;

    fn check(ops: &[Op], expected: &str) {
        let mut world = World::new((0..3).collect(), [1, 2].into_iter().collect());
        let done: Result<(), Refused> = ops.iter().try_for_each(|op| world.apply(op));
        assert_eq!(done.map_or_else(|refused| refused.to_string(), |()| String::new()), expected, "{ops:?}");
    }

    fn spawn(cgroup: &str) -> Op {
        Op::spawn(cgroup, Work::default().workers(2))
    }

    #[test]
    fn cgroups_are_there_when_they_are_named() {
        check(&[Op::add_cgroup("a"), Op::freeze("a"), Op::remove_cgroup("a")], "");
        check(&[Op::thaw("a")], "there is no cgroup a then");
        check(&[Op::add_cgroup("a"), Op::swap_cpusets("a", "b")], "there is no cgroup b then");
        check(&[Op::add_cgroup("a"), Op::remove_cgroup("a"), Op::clear_cpuset("a")], "there is no cgroup a then");
        check(&[Op::add_cgroup("a"), Op::add_cgroup("a")], "there is a cgroup a already");
        check(&[Op::add_cgroup("a/b"), Op::add_cgroup("a")], "");
        check(
            &[Op::add_cgroup("a/../b")],
            "\"a/../b\" cannot name a cgroup: use path components without `.` or `..`, separated by `/`",
        );
    }

    #[test]
    fn workers_are_where_they_can_be() {
        check(&[Op::add_cgroup("a"), spawn("a"), Op::stop_cgroup("a"), Op::add_cgroup("a/b")], "");
        check(
            &[Op::add_cgroup("a"), spawn("a"), Op::add_cgroup("a/b")],
            "cgroup a has workers then, so none can be below it",
        );
        check(&[Op::add_cgroup("a/b"), spawn("a")], "cgroup a has a/b below it then");
        check(&[Op::add_cgroup("a/b"), Op::remove_cgroup("a")], "cgroup a has a/b below it then");
        check(&[Op::add_cgroup("a"), Op::stop_cgroup("a")], "cgroup a has no workers then");
        check(
            &[Op::add_cgroup("a"), Op::add_cgroup("b"), spawn("a"), Op::move_all_tasks("a", "b"), Op::stop_cgroup("a")],
            "cgroup a has no workers then",
        );
        check(&[Op::add_cgroup("a/b"), Op::freeze("a"), spawn("a/b")], "cgroup a is frozen then: thaw it first");
    }

    #[test]
    fn cpus_can_go_and_come_back() {
        check(&[Op::cpu_offline(1), Op::cpu_online(1), Op::cpu_offline(1)], "");
        check(&[Op::cpu_offline(3)], "the machine has no CPU 3");
        check(&[Op::cpu_online(1)], "CPU 1 is online then");
        check(&[Op::cpu_offline(1), Op::cpu_offline(1)], "CPU 1 is offline then");
        check(
            &[Op::cpu_offline(0)],
            "this kernel cannot take CPU 0 offline: /sys/devices/system/cpu/cpu0/online is not there",
        );
        check(
            &[Op::cpu_offline(1), Op::cpu_offline(2), Op::cpu_offline(0)],
            "CPU 0 is the only one that is online then",
        );
    }

    #[test]
    fn schedulers_are_there_when_they_are_named() {
        let named = |name: &str, is_program| Named { name: name.to_owned(), is_program };
        let known = Known { schedulers: vec![named("one", true), named("two", false)], first: Some(0) };
        let check = |ops: &[Op], expected: &str| {
            let mut world = World::default().with_schedulers(&known);
            let done: Result<(), Refused> = ops.iter().try_for_each(|op| world.apply(op));
            assert_eq!(done.map_or_else(|refused| refused.to_string(), |()| String::new()), expected, "{ops:?}");
        };
        let write = BpfMapWrite::variable("x", &[1]);
        let (switch, write_now) = (Op::switch_scheduler, Op::write_map(&write));
        check(&[write_now.clone(), switch("two"), Op::RestartScheduler, Op::StopScheduler, switch("one")], "");
        check(&[switch("six")], "there is no scheduler \"six\" among one, two: add it by `schedulers`");
        check(&[Op::StopScheduler, Op::RestartScheduler], "no scheduler of the test runs then");
        check(&[Op::StopScheduler, write_now.clone()], "no scheduler of the test runs then");
        check(&[switch("two"), write_now], "the scheduler two, which runs then, is part of the kernel and has no maps");
        let later = Op::write_map(&write.after(Duration::from_secs(1)));
        check(&[later], "an op is done when its turn comes: leave out `after`");
    }

    #[test]
    fn values_are_what_the_kernel_takes() {
        let made = |op| [Op::add_cgroup("a"), op];
        check(&made(Op::set_weight("a", 10_000)), "");
        check(&made(Op::set_weight("a", 0)), "cpu.weight cannot be 0: it must be from 1 to 10000");
        check(&made(Op::set_max("a", 1_000, 1_000)), "");
        check(
            &made(Op::set_max("a", 1_000, 2_000_000)),
            "the period of cpu.max cannot be 2000000: it must be from 1000 to 1000000 us",
        );
        check(&made(Op::set_uclamp("a", f64::NAN, 1.0)), "cpu.uclamp.min cannot be NaN: it must be from 0 to 100");
    }
}
