//! One worker's books.

use super::Latencies;
use std::sync::atomic::AtomicU64;

/// Value of [`Slot::ready_ns`] while the worker waits for something of which nobody knows when it comes.
pub(crate) const NO_WORK: u64 = u64::MAX;

/// What one worker writes and its parent reads. Aligned so that workers don't share cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    /// When the worker ran for the first time; 0 until then.
    pub(crate) started_ns: AtomicU64,
    /// Since when it has work and has not been seen running: for a running worker that is when it last looked at the
    /// clock, for one that waits it is when what it waits for comes, or [`NO_WORK`].
    pub(crate) ready_ns: AtomicU64,
    pub(crate) work_units: AtomicU64,
    pub(crate) iterations: AtomicU64,
    pub(crate) cpu_time_ns: AtomicU64,
    pub(crate) migrations: AtomicU64,
    pub(crate) cpu: AtomicU64,
    pub(crate) gap_length_ns: AtomicU64,
    pub(crate) gap_from_ns: AtomicU64,
    pub(crate) gap_cpu: AtomicU64,
    pub(crate) latencies: Latencies,
}
