//! What a worker measured of itself.

use serde::{Deserialize, Serialize};

/// The longest time that a worker did not run although it had work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its length.
    pub length_ns: u64,
    /// When it began, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// The CPU on which the worker ran last before it.
    pub cpu: u32,
}

/// One worker's measurements, from the common start to the stop order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its cgroup.
    pub cgroup: String,
    /// Its number within the cgroup.
    pub index: u32,
    /// Its process id.
    pub pid: i32,
    /// The common start, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// Units of work done; the same amount of computation each.
    pub work_units: u64,
    /// CPU time used.
    pub cpu_time_ns: u64,
    /// Time from the common start to the stop order.
    pub wall_time_ns: u64,
    /// Time runnable but not running (`/proc/PID/schedstat`), where the kernel accounts for it.
    pub run_delay_ns: Option<u64>,
    /// How often it found itself on another CPU than before.
    pub migrations: u64,
    /// Longest gap between two units of work, the one still open at the stop order included.
    pub longest_gap: Gap,
    /// Whether it answered the stop order; one that could not run did not.
    pub stopped_in_time: bool,
}
