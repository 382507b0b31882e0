//! How long tasks that were woken waited for a CPU.

use super::{Schedule, TaskNumber, What};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// From the moment when somebody began to wake a task to the one when it ran, of all its wakeups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// `task_struct.pid`.
    pub pid: u32,
    /// `task_struct.comm`.
    pub comm: String,
    /// The last part of its cgroup's path; empty for the root.
    pub cgroup: String,
    /// Wakeups that a CPU followed.
    pub wakeups: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// When the longest began.
    pub max_at_ns: u64,
    /// Wakeups that no CPU followed before the end.
    pub unserved: u64,
}

impl Schedule {
    /// Of each task that was woken, by its pid.
    pub fn latencies(&self) -> Vec<Latency> {
        let mut waiting: HashMap<u32, (TaskNumber, u64)> = HashMap::new();
        let mut waits: BTreeMap<TaskNumber, Vec<(u64, u64)>> = BTreeMap::new();
        for event in &self.events {
            match event.what {
                What::Wakeup { task, waking_ns, .. } => {
                    waiting.insert(self.pid(task), (task, waking_ns));
                }
                What::Switch { to, .. } => {
                    if let Some((task, waking_ns)) = waiting.remove(&self.pid(to)) {
                        waits.entry(task).or_default().push((event.at_ns.saturating_sub(waking_ns), waking_ns));
                    }
                }
                What::Migrate { .. } => {}
            }
        }
        let mut unserved: BTreeMap<TaskNumber, u64> = BTreeMap::new();
        for (task, _) in waiting.into_values() {
            *unserved.entry(task).or_default() += 1;
            waits.entry(task).or_default();
        }
        let of = |(task, waits): (TaskNumber, Vec<(u64, u64)>)| {
            self.latency(task, waits, unserved.get(&task).copied().unwrap_or(0))
        };
        let mut latencies: Vec<Latency> = waits.into_iter().filter_map(of).collect();
        latencies.sort_by(|a, b| (a.pid, &a.comm, &a.cgroup).cmp(&(b.pid, &b.comm, &b.cgroup)));
        latencies
    }

    fn pid(&self, task: TaskNumber) -> u32 {
        self.tasks.get(task as usize).map_or(0, |task| task.pid)
    }

    fn latency(&self, task: TaskNumber, mut waits: Vec<(u64, u64)>, unserved: u64) -> Option<Latency> {
        let task = self.tasks.get(task as usize)?;
        waits.sort_unstable();
        // The nearest rank.
        let rank = |percent: usize| waits.get((waits.len() * percent).div_ceil(100).saturating_sub(1));
        let (max_ns, max_at_ns) = waits.last().copied().unwrap_or_default();
        Some(Latency {
            pid: task.pid,
            comm: task.comm.clone(),
            cgroup: task.cgroup.clone(),
            wakeups: waits.len() as u64,
            p50_ns: rank(50).map_or(0, |wait| wait.0),
            p99_ns: rank(99).map_or(0, |wait| wait.0),
            max_ns,
            max_at_ns,
            unserved,
        })
    }
}
