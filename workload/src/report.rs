//! What a worker measured of itself.

use crate::histogram::LatencyHistogram;
use crate::program::ProgramReport;
use crate::spec::SchedPolicy;
use crate::work_type::PROGRAM;
use ktstr_wire::CpuSet;
use serde::{Deserialize, Serialize};

/// The longest time that a worker did not run although it had work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gap {
    /// Its length.
    pub length_ns: u64,
    /// When it began, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// The CPU on which the worker ran last before it.
    pub cpu: u32,
}

/// A stretch of time in which a worker ran on one CPU, as far as it could tell itself. As data: `[cpu, from_ns, length_ns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u64, u64)", into = "(u32, u64, u64)")]
pub struct RunSegment {
    /// The CPU.
    pub cpu: u32,
    /// When it began, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// Its length.
    pub length_ns: u64,
}

impl From<(u32, u64, u64)> for RunSegment {
    fn from((cpu, from_ns, length_ns): (u32, u64, u64)) -> Self {
        Self { cpu, from_ns, length_ns }
    }
}

impl From<RunSegment> for (u32, u64, u64) {
    fn from(segment: RunSegment) -> Self {
        (segment.cpu, segment.from_ns, segment.length_ns)
    }
}

/// How much was done in each of successive stretches of the same length, from the common start on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Length of a stretch.
    pub stretch_ns: u64,
    /// Iterations in each.
    pub iterations: Vec<u32>,
}

/// One worker's measurements, from the common start to the stop order, or within one phase of the scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its cgroup below the test's parent; empty for a worker outside of all of them.
    pub cgroup: String,
    /// Name of its work type.
    pub work: String,
    /// Its number within the cgroup.
    pub index: u32,
    /// Its process id, or its thread id when the worker is a thread.
    pub pid: i32,
    /// Its scheduling policy, as the scenario set it last.
    #[serde(default)]
    pub policy: SchedPolicy,
    /// Its nice value.
    #[serde(default)]
    pub nice: i32,
    /// The CPUs that the scenario set last for it alone; none when it may use what its cgroup has.
    #[serde(default)]
    pub affinity: Option<CpuSet>,
    /// When its measuring began, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// Units of computation done; the same amount each.
    pub work_units: u64,
    /// Rounds of its work type done.
    pub iterations: u64,
    /// CPU time used.
    pub cpu_time_ns: u64,
    /// Time that was measured.
    pub wall_time_ns: u64,
    /// Time runnable but not running (`/proc/PID/schedstat`), where the kernel accounts for it.
    pub run_delay_ns: Option<u64>,
    /// From when it was to run again to when it ran, for each time that it had waited for something and knows when that
    /// came.
    pub wake_latency: LatencyHistogram,
    /// How often it found itself on another CPU than before.
    pub migrations: u64,
    /// CPUs on which it found itself.
    pub cpus_visited: CpuSet,
    /// How often it gave up its CPU to wait for something (`/proc/PID/status`).
    pub voluntary_switches: Option<u64>,
    /// How often its CPU was taken from it.
    pub involuntary_switches: Option<u64>,
    /// Whether it ran or waited for a CPU at both ends of what was measured: it did not sleep there, nor was it stopped by a
    /// signal (`State` in `/proc/PID/status`).
    #[serde(default)]
    pub runnable_at_ends: Option<bool>,
    /// Longest gap while it had work, the one still open at the stop order included.
    pub longest_gap: Gap,
    /// Its work over time.
    pub progress: Progress,
    /// When it ran where; gaps that are too short to be seen lie within.
    pub runs: Vec<RunSegment>,
    /// How many stretches more it had than it could keep.
    pub runs_dropped: u64,
    /// Whether it answered the stop order; one that could not run did not.
    pub stopped_in_time: bool,
    /// What came of it when it is a program, which measures nothing of itself: there are no units, no iterations, no wake
    /// latencies and no gaps then. Only at the end, not in the phases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Box<ProgramReport>>,
}

impl WorkerReport {
    /// Whether the worker is a program, see [`WorkerReport::program`].
    pub fn is_program(&self) -> bool {
        self.work == PROGRAM
    }
}
