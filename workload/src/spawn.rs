//! Worker processes: made, started together, stopped, and asked what they measured.

use crate::cgroup::CgroupManager;
use crate::clock::monotonic_ns;
use crate::def::Work;
use crate::error::Error;
use crate::meter::Meter;
use crate::report::{Gap, WorkerReport};
use crate::shared::{Slot, Slots};
use crate::work;
use crate::work_type::WorkType;
use ktstr_wire::CpuSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
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
    slots: Slots,
    workers: Vec<Worker>,
    /// Workers wait until this end of the pipe is closed.
    gate: Option<OwnedFd>,
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
        let spawn = |doing, index, config: &WorkloadConfig, source| Error::Spawn {
            doing,
            index,
            cgroup: config.cgroup.clone(),
            source,
        };
        let Some(first) = configs.first() else {
            let slots = Slots::new(0).map_err(|source| Error::Spawn {
                doing: "map shared memory",
                index: 0,
                cgroup: "(none)".to_owned(),
                source,
            })?;
            return Ok(Self { slots, workers: Vec::new(), gate: None, released_ns: 0 });
        };
        let slots = Slots::new(count).map_err(|source| spawn("map shared memory", 0, first, source))?;
        let (wait_end, gate) = pipe().map_err(|source| spawn("make a pipe", 0, first, source))?;
        let mut handle = Self { slots, workers: Vec::with_capacity(count), gate: Some(gate), released_ns: 0 };
        for config in configs {
            for index in 0..config.workers {
                let number = handle.workers.len() as u64;
                let seed = config.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let pid = handle
                    .fork_worker(&wait_end, config, seed)
                    .map_err(|source| spawn("fork", index, config, source))?;
                let (cgroup, work) = (config.cgroup.clone(), config.work.work_type.name());
                handle.workers.push(Worker { cgroup, work, index, pid, running: true });
                cgroups.move_task(&config.cgroup, pid)?;
            }
        }
        Ok(handle)
    }

    /// Lets all workers begin at once.
    pub fn start(&mut self) {
        self.released_ns = monotonic_ns();
        self.gate = None;
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
        for (number, worker) in self.workers.iter_mut().enumerate() {
            // A worker that ended by itself is one whose report would be a lie.
            if let Some(status) = try_reap(worker.pid) {
                worker.running = false;
                return Err(Error::DiedEarly { pid: worker.pid, cgroup: worker.cgroup.clone(), status });
            }
            self.slots.all()[number].stop.store(true, Release);
        }
        let give_up_ns = stop_ns + STOP_PATIENCE.as_nanos() as u64;
        let mut reports = Vec::with_capacity(self.workers.len());
        for (number, worker) in self.workers.iter_mut().enumerate() {
            let stopped_in_time = reap_until(worker.pid, give_up_ns);
            worker.running = !stopped_in_time;
            let slot = &self.slots.all()[number];
            let span_ns = (self.released_ns, stop_ns);
            reports.push(report(worker, slot, span_ns, accounts[number], stopped_in_time));
        }
        Ok(reports)
    }

    fn fork_worker(&self, wait_end: &OwnedFd, config: &WorkloadConfig, seed: u64) -> io::Result<i32> {
        let slot = &self.slots.all()[self.workers.len()];
        let (wait_fd, gate_fd) = (wait_end.as_raw_fd(), self.gate.as_ref().map_or(-1, AsRawFd::as_raw_fd));
        // SAFETY: the child calls only async-signal-safe functions and never returns.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => child(slot, &config.work.work_type, seed, wait_fd, gate_fd),
            pid => Ok(pid),
        }
    }
}

impl Drop for WorkloadHandle {
    fn drop(&mut self) {
        for worker in self.workers.iter().filter(|worker| worker.running) {
            // SAFETY: plain system calls; the process is our child and not yet reaped, so the pid is its own.
            unsafe {
                libc::kill(worker.pid, libc::SIGKILL);
                libc::waitpid(worker.pid, std::ptr::null_mut(), 0);
            }
        }
    }
}

/// The child's whole life.
fn child(slot: &Slot, work_type: &WorkType, seed: u64, wait_fd: i32, gate_fd: i32) -> ! {
    let mut byte = 0u8;
    // SAFETY: system calls on descriptors that the parent had open when it forked, and on a local buffer. The gate is
    // closed so that only the parent holds it; the read ends when the parent closes its own.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::close(gate_fd);
        while libc::read(wait_fd, (&raw mut byte).cast(), 1) < 0 {}
    }
    let mut meter = Meter::begin(slot, seed);
    work::run(work_type, &mut meter);
    meter.end();
    // SAFETY: ends the process without running the parent's exit handlers.
    unsafe { libc::_exit(0) }
}

fn report(
    worker: &Worker,
    slot: &Slot,
    (released_ns, stop_ns): (u64, u64),
    account: Option<(u64, u64)>,
    stopped_in_time: bool,
) -> WorkerReport {
    // One that never got to run has waited since the common start.
    let last_ns = if slot.started_ns.load(Acquire) == 0 { released_ns } else { slot.last_ns.load(Acquire) };
    let closed = Gap {
        length_ns: slot.gap_length_ns.load(Relaxed),
        from_ns: slot.gap_from_ns.load(Relaxed),
        cpu: slot.gap_cpu.load(Relaxed) as u32,
    };
    let open = Gap { length_ns: stop_ns.saturating_sub(last_ns), from_ns: last_ns, cpu: slot.cpu.load(Relaxed) as u32 };
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
        migrations: slot.migrations.load(Relaxed),
        longest_gap: if open.length_ns > closed.length_ns { open } else { closed },
        stopped_in_time,
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

fn reap_until(pid: i32, give_up_ns: u64) -> bool {
    loop {
        if try_reap(pid).is_some() {
            return true;
        }
        if monotonic_ns() >= give_up_ns {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: two fresh descriptors that nothing else owns.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}
