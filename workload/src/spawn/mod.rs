//! Worker processes: made, started together, stopped, and asked what they measured.

mod child;

use crate::cgroup::CgroupManager;
use crate::clock::monotonic_ns;
use crate::def::Work;
use crate::error::Error;
use crate::histogram::LatencyHistogram;
use crate::report::{Gap, WorkerReport};
use crate::shared::{NO_WORK, Orders, Shared, Slot};
use crate::team::{Means, Team};
use crate::work;
use child::{NUDGE, Task};
use ktstr_wire::CpuSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// How long a worker may take to answer the stop order before it is killed: one that cannot run answers never, and then
/// its open gap is what it has to report.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Workers of one cgroup that are alike.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkloadConfig {
    /// The cgroup, which must exist.
    pub cgroup: String,
    /// How many workers; [`Work::workers`] is not looked at.
    pub workers: u32,
    /// What they are and do.
    pub work: Work,
    /// CPUs of each worker (sched_setaffinity(2)); those beyond the end of the list keep what they inherit.
    pub cpus: Vec<CpuSet>,
    /// Seed of what they compute.
    pub seed: u64,
}

impl WorkloadConfig {
    /// Workers that inherit their CPUs.
    pub fn new(cgroup: impl Into<String>, workers: u32, work: Work, seed: u64) -> Self {
        Self { cgroup: cgroup.into(), workers, work, cpus: Vec::new(), seed }
    }
}

/// Running workers. Dropping it kills those that are left.
#[derive(Debug)]
pub struct WorkloadHandle {
    orders: Shared<Orders>,
    slots: Shared<Slot>,
    workers: Vec<Worker>,
    released_ns: u64,
}

#[derive(Debug)]
struct Worker {
    cgroup: String,
    work: &'static str,
    index: u32,
    pid: i32,
    running: bool,
}

impl WorkloadHandle {
    /// Makes the workers, each in its cgroup, waiting for [`WorkloadHandle::start`].
    ///
    /// # Errors
    /// [`Error::Spawn`], [`Error::Cgroup`]; no worker is left then.
    pub fn spawn(cgroups: &CgroupManager, configs: &[WorkloadConfig]) -> Result<Self, Error> {
        let count = configs.iter().map(|config| config.workers as usize).sum();
        let mut handle = Self {
            orders: Shared::new(1).map_err(Error::SharedMemory)?,
            slots: Shared::new(count).map_err(Error::SharedMemory)?,
            workers: Vec::with_capacity(count),
            released_ns: 0,
        };
        for config in configs {
            handle.spawn_group(cgroups, config)?;
        }
        Ok(handle)
    }

    fn spawn_group(&mut self, cgroups: &CgroupManager, config: &WorkloadConfig) -> Result<(), Error> {
        let needs = work::needs(&config.work.work_type, config.workers as usize);
        let means = Means::new(needs).map_err(|source| Error::Spawn {
            doing: "make pipes and shared memory",
            index: 0,
            cgroup: config.cgroup.clone(),
            source,
        })?;
        let first = self.workers.len();
        let group = first..first + config.workers as usize;
        for index in 0..config.workers {
            let pid = self.fork_worker(&means, group.clone(), config).map_err(|source| Error::Spawn {
                doing: "fork",
                index,
                cgroup: config.cgroup.clone(),
                source,
            })?;
            let (cgroup, work) = (config.cgroup.clone(), config.work.work_type.name());
            self.workers.push(Worker { cgroup, work, index, pid, running: true });
            cgroups.move_task(&config.cgroup, pid)?;
        }
        Ok(())
    }

    fn fork_worker(&self, means: &Means, group: Range<usize>, config: &WorkloadConfig) -> io::Result<i32> {
        let number = self.workers.len();
        let team = Team { index: number - group.start, slots: &self.slots[group], means };
        let task = Task {
            orders: &self.orders[0],
            team,
            work_type: &config.work.work_type,
            seed: config.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        let parent = std::process::id() as i32;
        // SAFETY: the child calls only async-signal-safe functions and never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => child::process(&task, parent),
            pid => Ok(pid),
        }
    }

    /// Lets all workers begin at once.
    pub fn start(&mut self) {
        self.released_ns = monotonic_ns();
        self.orders[0].start.open();
    }

    /// The workers' process ids, in the order of the configurations.
    pub fn pids(&self) -> Vec<i32> {
        self.workers.iter().map(|worker| worker.pid).collect()
    }

    /// Stops the workers and collects their reports.
    ///
    /// # Errors
    /// [`Error::DiedEarly`] when a worker had ended before.
    pub fn stop_and_collect(mut self) -> Result<Vec<WorkerReport>, Error> {
        let stop_ns = monotonic_ns();
        let accounts: Vec<_> = self.workers.iter().map(|worker| schedstat(worker.pid)).collect();
        // A worker that ended by itself is one whose report would be a lie.
        for worker in &mut self.workers {
            if let Some(status) = try_reap(worker.pid) {
                worker.running = false;
                return Err(Error::DiedEarly { pid: worker.pid, cgroup: worker.cgroup.clone(), status });
            }
        }
        self.orders[0].stop.store(true, Release);
        self.reap_until(stop_ns + STOP_PATIENCE.as_nanos() as u64);
        let span_ns = (self.released_ns, stop_ns);
        let each = self.workers.iter().zip(&*self.slots).zip(accounts);
        Ok(each.map(|((worker, slot), account)| report(worker, slot, span_ns, account)).collect())
    }

    /// Waits for the workers that were told to stop.
    fn reap_until(&mut self, give_up_ns: u64) {
        loop {
            for (worker, slot) in self.workers.iter_mut().zip(&*self.slots) {
                worker.running = worker.running && try_reap(worker.pid).is_none();
                // Again and again: it may have been just about to block. Before it began, it has no handler.
                if worker.running && slot.started_ns.load(Acquire) != 0 {
                    // SAFETY: a plain system call; the process is our child and not yet reaped, so the pid is its own.
                    unsafe { libc::kill(worker.pid, NUDGE) };
                }
            }
            if !self.workers.iter().any(|worker| worker.running) || monotonic_ns() >= give_up_ns {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for WorkloadHandle {
    fn drop(&mut self) {
        let left = || self.workers.iter().filter(|worker| worker.running);
        // SAFETY: plain system calls; these processes are our children and not yet reaped, so the pids are their own.
        left().for_each(|worker| unsafe { _ = libc::kill(worker.pid, libc::SIGKILL) });
        // SAFETY: as above.
        left().for_each(|worker| unsafe { _ = libc::waitpid(worker.pid, std::ptr::null_mut(), 0) });
    }
}

fn report(
    worker: &Worker,
    slot: &Slot,
    (released_ns, stop_ns): (u64, u64),
    account: Option<(u64, u64)>,
) -> WorkerReport {
    // One that never got to run has waited since the common start.
    let ready_ns = if slot.started_ns.load(Acquire) == 0 { released_ns } else { slot.ready_ns.load(Acquire) };
    let closed = Gap {
        length_ns: slot.gap_length_ns.load(Relaxed),
        from_ns: slot.gap_from_ns.load(Relaxed),
        cpu: slot.gap_cpu.load(Relaxed) as u32,
    };
    let from_ns = if ready_ns == NO_WORK { stop_ns } else { ready_ns };
    let open = Gap { length_ns: stop_ns.saturating_sub(from_ns), from_ns, cpu: slot.cpu.load(Relaxed) as u32 };
    let own_cpu_ns = slot.cpu_time_ns.load(Acquire);
    WorkerReport {
        cgroup: worker.cgroup.clone(),
        work: worker.work.to_owned(),
        index: worker.index,
        pid: worker.pid,
        from_ns: released_ns,
        work_units: slot.work_units.load(Relaxed),
        iterations: slot.iterations.load(Relaxed),
        cpu_time_ns: if own_cpu_ns > 0 { own_cpu_ns } else { account.map_or(0, |(run_ns, _)| run_ns) },
        wall_time_ns: stop_ns.saturating_sub(released_ns),
        run_delay_ns: account.map(|(_, delay_ns)| delay_ns),
        wake_latency: slot.latencies.since(&mut LatencyHistogram::default()),
        migrations: slot.migrations.load(Relaxed),
        longest_gap: if open.length_ns > closed.length_ns { open } else { closed },
        stopped_in_time: !worker.running,
        ..WorkerReport::default()
    }
}

/// Run time and run delay (`/proc/PID/schedstat`, Documentation/scheduler/sched-stats.rst).
fn schedstat(pid: i32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let mut fields = text.split_ascii_whitespace().map(str::parse);
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// The wait status of a child that has ended.
fn try_reap(pid: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: a live local; the pid is our own child's.
    let reaped = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    (reaped == pid).then_some(status)
}
