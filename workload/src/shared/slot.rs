//! One worker's books.

use super::{Book, Latencies, Marks, Runs};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64};

/// Value of [`Slot::ready_ns`] while the worker waits for something of which nobody knows when it comes.
pub(crate) const NO_WORK: u64 = u64::MAX;

/// What one worker writes and its parent reads. Aligned so that workers don't share cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slot {
    /// Its thread id, once it can be signalled.
    pub(crate) tid: AtomicI32,
    /// Whether it ran since the common start.
    pub(crate) started: AtomicBool,
    /// The error that kept it from going on; 0 if there was none.
    pub(crate) errno: AtomicI32,
    /// Whether it ended by itself.
    pub(crate) ended: AtomicBool,
    /// Since when it has work and has not been seen running: for a running worker that is when it last looked at the
    /// clock, for one that waits it is when what it waits for comes, or [`NO_WORK`].
    pub(crate) ready_ns: AtomicU64,
    pub(crate) work_units: AtomicU64,
    pub(crate) iterations: AtomicU64,
    pub(crate) cpu_time_ns: AtomicU64,
    pub(crate) migrations: AtomicU64,
    /// Where it ran last.
    pub(crate) cpu: AtomicU64,
    /// Books of its whole life.
    pub(crate) whole: Book,
    /// Books of phases, those of even and those of odd numbers: while the parent reads one, the worker writes the other.
    pub(crate) phases: [Book; 2],
    pub(crate) marks: Marks,
    pub(crate) runs: Runs,
    pub(crate) latencies: Latencies,
}
