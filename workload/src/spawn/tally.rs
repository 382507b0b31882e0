//! From a worker's books to its report.

use super::account::Account;
use crate::histogram::LatencyHistogram;
use crate::report::{Gap, Progress, WorkerReport};
use crate::shared::{NO_WORK, Slot};
use ktstr_wire::CpuSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

/// What the books and the kernel said of a worker at some moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    work_units: u64,
    iterations: u64,
    migrations: u64,
    account: Account,
}

impl Counts {
    pub(super) fn new(slot: &Slot, account: Account) -> Self {
        Self {
            work_units: slot.work_units.load(Relaxed),
            iterations: slot.iterations.load(Relaxed),
            migrations: slot.migrations.load(Relaxed),
            account,
        }
    }

    /// The worker's own count of its CPU time, at the moment when its books were closed, is exact; the kernel's lags by up
    /// to a tick while it runs.
    pub(super) fn with_own_cpu_time(mut self, slot: &Slot) -> Self {
        match slot.cpu_time_ns.load(Acquire) {
            // It does not get to run.
            0 => {}
            cpu_time_ns => self.account.cpu_time_ns = Some(cpu_time_ns),
        }
        self
    }
}

/// A span of time that is reported on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
    /// The phase, or none for the whole run.
    pub(super) phase: Option<u64>,
}

impl Span {
    /// A report without who and what the worker is.
    pub(super) fn report(
        self,
        slot: &Slot,
        now: &Counts,
        before: &Counts,
        seen: &mut LatencyHistogram,
    ) -> WorkerReport {
        let account = now.account.since(&before.account);
        let (longest_gap, cpus_visited) = self.gap_and_cpus(slot);
        let (runs, runs_dropped) = if self.phase.is_none() { slot.runs.get() } else { (Vec::new(), 0) };
        WorkerReport {
            from_ns: self.from_ns,
            work_units: now.work_units - before.work_units,
            iterations: now.iterations - before.iterations,
            cpu_time_ns: account.cpu_time_ns.unwrap_or(0),
            wall_time_ns: self.to_ns.saturating_sub(self.from_ns),
            run_delay_ns: account.run_delay_ns,
            wake_latency: slot.latencies.since(seen),
            migrations: now.migrations - before.migrations,
            cpus_visited,
            voluntary_switches: account.voluntary_switches,
            involuntary_switches: account.involuntary_switches,
            runnable_at_ends: account.runnable,
            longest_gap,
            progress: self.progress(slot, now.iterations),
            runs,
            runs_dropped,
            ..WorkerReport::default()
        }
    }

    /// The longest gap within the span, the one that is open at its end included, and where the worker ran.
    fn gap_and_cpus(self, slot: &Slot) -> (Gap, CpuSet) {
        // First: what is closed after this look is in the book.
        let started = slot.started.load(Acquire);
        let ready_ns = if started { slot.ready_ns.load(Acquire) } else { self.from_ns };
        let from_ns = if ready_ns == NO_WORK { self.to_ns } else { ready_ns.max(self.from_ns) };
        let open = Gap { length_ns: self.to_ns.saturating_sub(from_ns), from_ns, cpu: slot.cpu.load(Relaxed) as u32 };
        let book = match self.phase {
            None => Some(&slot.whole),
            Some(phase) => Some(&slot.phases[phase as usize % 2]).filter(|book| book.is_of(phase)),
        };
        let (closed, cpus) = book.map_or_else(Default::default, |book| (book.longest_gap.get(), book.cpus.get()));
        (if open.length_ns > closed.length_ns { open } else { closed }, cpus)
    }

    fn progress(self, slot: &Slot, iterations: u64) -> Progress {
        if self.phase.is_some() {
            return Progress::default();
        }
        slot.marks.get(self.to_ns.saturating_sub(self.from_ns), iterations)
    }
}
