//! What the kernel's scheduler did: each context switch, wakeup and migration, seen at stop points in its code.

mod latency;
mod places;
mod recorder;

pub use latency::Latency;
pub use places::{Error, Place, Places, Point};
pub use recorder::Recorder;

use serde::{Deserialize, Serialize};

/// What happened, in order of time. Times are nanoseconds of the guest's `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schedule {
    /// Who is meant by the numbers in the events.
    pub tasks: Vec<Task>,
    /// All of them.
    pub events: Vec<Event>,
    /// Events that were left out, the oldest, because there were too many.
    pub lost: u64,
}

/// A task as it was for a while: it can change its name and its cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Task {
    /// `task_struct.pid`: of a thread, not of its process. 0 is a CPU's idle task.
    pub pid: u32,
    /// `task_struct.comm`.
    pub comm: String,
    /// The number of its cgroup in the default hierarchy, the inode's number in cgroupfs (`kernfs_node.id`).
    pub cgroup_id: u64,
    /// The last part of its cgroup's path, up to 31 bytes; empty for the root.
    pub cgroup: String,
}

/// A number in [`Schedule::tasks`].
pub type TaskNumber = u32;

/// Something that the scheduler did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at_ns: u64,
    /// The CPU that did it.
    pub cpu: u32,
    /// What.
    pub what: What,
}

/// What the scheduler did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The CPU went from one task to another.
    Switch {
        /// Who ran.
        from: TaskNumber,
        /// `task_struct.__state` of that task if it sleeps or has ended; 0 when it would have run on
        /// (include/linux/sched.h, `TASK_RUNNING`).
        state: u32,
        /// Who runs now.
        to: TaskNumber,
    },
    /// A task that slept, or a new one, is on a runqueue.
    Wakeup {
        /// Who.
        task: TaskNumber,
        /// When somebody began to wake it.
        waking_ns: u64,
        /// The runqueue's CPU.
        on: u32,
    },
    /// A task goes to another CPU.
    Migrate {
        /// Who.
        task: TaskNumber,
        /// The CPU where it was.
        from: u32,
        /// And the one where it will be.
        to: u32,
    },
}

impl What {
    /// The same with other numbers of tasks.
    fn with_tasks(self, mut number: impl FnMut(TaskNumber) -> TaskNumber) -> Self {
        match self {
            Self::Switch { from, state, to } => Self::Switch { from: number(from), state, to: number(to) },
            Self::Wakeup { task, waking_ns, on } => Self::Wakeup { task: number(task), waking_ns, on },
            Self::Migrate { task, from, to } => Self::Migrate { task: number(task), from, to },
        }
    }
}
