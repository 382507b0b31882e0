//! Workers: made, started together, changed while they run, stopped, and asked what they measured.

mod account;
pub(crate) mod attributes;
mod child;
mod config;
mod make;
mod program;
mod tally;
#[cfg(test)]
mod tests;

pub use config::WorkloadConfig;

use crate::cgroup::CgroupManager;
use crate::clock::monotonic_ns;
use crate::error::Error;
use crate::histogram::LatencyHistogram;
use crate::report::WorkerReport;
use crate::shared::{Orders, Shared, Slot};
use crate::spec::SchedPolicy;
use account::Account;
use ktstr_wire::CpuSet;
use program::RunningProgram;
use std::io;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;
use tally::{Counts, Span};

/// How long a worker may take to answer the stop order before it is killed: one that cannot run answers never, and then
/// its open gap is what it has to report.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Running workers. Dropping it kills those that are left; they also end when the thread that spawned them does
/// (`PR_SET_PDEATHSIG` in prctl(2)), however that ends.
#[derive(Debug)]
pub struct WorkloadHandle {
    cgroups: CgroupManager,
    orders: Shared<Orders>,
    slots: Shared<Slot>,
    processes: Vec<Process>,
    workers: Vec<Worker>,
    released_ns: u64,
    /// The current phase, and when it began.
    phase: u64,
    phase_from_ns: u64,
    /// Since when nothing counts any more.
    closed_ns: Option<u64>,
}

/// A phase that is over and has not been reported on yet.
#[derive(Debug)]
#[must_use = "what was measured in it is in its reports"]
pub struct EndedPhase(Span);

#[derive(Debug)]
struct Process {
    pid: i32,
    running: bool,
    /// What it is when it is no worker of our own.
    program: Option<RunningProgram>,
}

#[derive(Debug)]
struct Worker {
    cgroup: Option<String>,
    work: &'static str,
    index: u32,
    pid: i32,
    tid: i32,
    policy: SchedPolicy,
    nice: i32,
    affinity: Option<CpuSet>,
    /// At the common start.
    first: Counts,
    /// At the last snapshot.
    last: Counts,
    seen: LatencyHistogram,
    /// What the kernel said of it after the books were closed.
    closing: Option<Account>,
}

impl WorkloadHandle {
    /// Makes the workers, each in its cgroup and with its CPUs, policy and nice value, waiting for
    /// [`WorkloadHandle::start`]. What the kernel was told about them has been read back.
    ///
    /// # Errors
    /// [`Error::BadWork`], [`Error::SharedMemory`], [`Error::Spawn`], [`Error::Cgroup`], [`Error::Refused`], [`Error::NotTaken`]; no worker is
    /// left then.
    pub fn spawn(cgroups: &CgroupManager, configs: &[WorkloadConfig]) -> Result<Self, Error> {
        let count = configs.iter().map(|config| config.workers as usize).sum();
        let mut handle = Self {
            cgroups: cgroups.clone(),
            orders: Shared::new(1).map_err(Error::SharedMemory)?,
            slots: Shared::new(count).map_err(Error::SharedMemory)?,
            processes: Vec::new(),
            workers: Vec::with_capacity(count),
            released_ns: 0,
            phase: 0,
            phase_from_ns: 0,
            closed_ns: None,
        };
        for config in configs {
            handle.spawn_group(config)?;
        }
        Ok(handle)
    }

    /// Lets all workers begin at once.
    pub fn start(&mut self) {
        Self::start_together([self]);
    }

    /// Lets the workers of several handles begin at once.
    pub fn start_together<'a>(handles: impl IntoIterator<Item = &'a mut Self>) {
        let mut handles: Vec<&mut Self> = handles.into_iter().collect();
        // Reading takes time, in which others would run already.
        handles.iter_mut().for_each(|handle| handle.read_first());
        handles.into_iter().for_each(Self::release);
    }

    fn read_first(&mut self) {
        for (worker, slot) in self.workers.iter_mut().zip(&*self.slots) {
            // It waits to be started still, and has work from then on.
            let account = Account { runnable: Some(true), ..Account::read(worker.pid, worker.tid) };
            worker.first = Counts::new(slot, account);
            worker.last = worker.first.clone();
        }
    }

    fn release(&mut self) {
        self.released_ns = monotonic_ns();
        self.phase_from_ns = self.released_ns;
        self.orders[0].started_ns.store(self.released_ns, Release);
        self.orders[0].start.open();
    }

    /// The workers' process ids, or their thread ids where they are threads, in the order of the configurations.
    pub fn pids(&self) -> Vec<i32> {
        self.workers.iter().map(|worker| worker.tid).collect()
    }

    /// Sets the CPUs that a worker may use; `number` is its place in [`WorkloadHandle::pids`].
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotTaken`].
    pub fn set_affinity(&mut self, number: usize, cpus: &CpuSet) -> Result<(), Error> {
        let worker = &self.workers[number];
        let refused = |source| Error::Refused {
            doing: format!("set the affinity to CPUs {cpus}"),
            worker: worker.to_string(),
            advice: "one of these CPUs at least must be online and in the cgroup's cpuset",
            source,
        };
        attributes::set_affinity(worker.tid, cpus).map_err(refused)?;
        let got = attributes::affinity(worker.tid).map_err(refused)?;
        // The kernel leaves away what the cpuset does not have.
        let usable = account::usable_cpus(worker.pid).map_err(refused)?;
        let expected: CpuSet = cpus.iter().filter(|cpu| usable.contains(*cpu)).collect();
        worker.compare("affinity", &expected.to_string(), &got.to_string())?;
        self.workers[number].affinity = Some(cpus.clone());
        Ok(())
    }

    /// Sets the scheduling policy of a worker, which keeps its nice value; `number` is its place in
    /// [`WorkloadHandle::pids`].
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::NotTaken`].
    pub fn set_policy(&mut self, number: usize, policy: SchedPolicy) -> Result<(), Error> {
        let worker = &self.workers[number];
        let refused = |source: io::Error| Error::Refused {
            doing: format!("set the policy to {policy:?} and the nice value to {}", worker.nice),
            worker: worker.to_string(),
            advice: attributes::advice(policy, &source),
            source,
        };
        attributes::set_policy(worker.tid, policy, worker.nice).map_err(refused)?;
        let got = attributes::policy(worker.tid).map_err(refused)?;
        worker.compare("policy and nice value", &format!("{:?}", (policy, worker.nice)), &format!("{got:?}"))?;
        self.workers[number].policy = policy;
        Ok(())
    }

    /// Ends a phase of the scenario and begins the next: what was measured since the last snapshot, or since the start.
    /// Such a report has neither [`WorkerReport::progress`] nor [`WorkerReport::runs`], and its CPU time may be late by a
    /// tick of the kernel's.
    ///
    /// # Errors
    /// [`Error::DiedEarly`] when a worker had ended before.
    pub fn snapshot(&mut self) -> Result<Vec<WorkerReport>, Error> {
        let ended = self.next_phase()?;
        Ok(self.report_phase(ended, || ()))
    }

    /// The first half of [`WorkloadHandle::snapshot`], which takes next to no time, so that several handles do it together.
    ///
    /// # Errors
    /// [`Error::DiedEarly`] when a worker had ended before.
    pub fn next_phase(&mut self) -> Result<EndedPhase, Error> {
        self.check_alive()?;
        let to_ns = monotonic_ns();
        let ended = self.phase_until(to_ns);
        (self.phase, self.phase_from_ns) = (self.phase + 1, to_ns);
        self.orders[0].phase_from_ns[self.phase as usize % 2].store(to_ns, Release);
        self.orders[0].phase.store(self.phase, Release);
        Ok(ended)
    }

    /// Ends the last phase: what workers do from now on does not count, and is left out of the reports of the whole time, too.
    /// What it takes to ask the kernel, and a worker to end, is not part of its work.
    ///
    /// # Errors
    /// [`Error::DiedEarly`] when a worker had ended before.
    pub fn close(&mut self) -> Result<EndedPhase, Error> {
        self.check_alive()?;
        let to_ns = *self.closed_ns.get_or_insert_with(monotonic_ns);
        self.orders[0].closed.store(true, Release);
        Ok(self.phase_until(to_ns))
    }

    fn phase_until(&self, to_ns: u64) -> EndedPhase {
        EndedPhase(Span { from_ns: self.phase_from_ns, to_ns, phase: Some(self.phase) })
    }

    /// The second half of [`WorkloadHandle::snapshot`], which asks the kernel about one worker after the other, and does
    /// `between` after each.
    pub fn report_phase(&mut self, EndedPhase(span): EndedPhase, mut between: impl FnMut()) -> Vec<WorkerReport> {
        let closed = self.closed_ns.is_some();
        let each = self.workers.iter_mut().zip(&*self.slots);
        let reports = each.map(|(worker, slot)| {
            let account = Account::read(worker.pid, worker.tid);
            worker.closing = closed.then_some(account);
            let now = Counts::new(slot, account);
            let report = span.report(slot, &now, &worker.last, &mut worker.seen);
            worker.last = now;
            between();
            worker.sign(report, true)
        });
        reports.collect()
    }

    /// Stops the workers and collects their reports of the whole time since the start.
    ///
    /// # Errors
    /// [`Error::DiedEarly`] when a worker had ended before.
    pub fn stop_and_collect(self) -> Result<Vec<WorkerReport>, Error> {
        Self::stop_together(vec![self])
    }

    /// Stops the workers of several handles at once and collects their reports, in the order of the handles.
    ///
    /// # Errors
    /// As [`WorkloadHandle::stop_and_collect`].
    pub fn stop_together(mut handles: Vec<Self>) -> Result<Vec<WorkerReport>, Error> {
        let ends: Vec<EndedPhase> = handles.iter_mut().map(Self::close).collect::<Result<_, _>>()?;
        let accounts: Vec<Vec<Account>> = handles.iter_mut().map(Self::stop).collect();
        let told_ns = monotonic_ns();
        let each = handles.into_iter().zip(ends).zip(accounts);
        let reports = each.flat_map(|((mut handle, EndedPhase(span)), accounts)| {
            handle.reap(told_ns);
            handle.collect(span.to_ns, accounts)
        });
        Ok(reports.collect())
    }

    fn stop(&mut self) -> Vec<Account> {
        let account = |worker: &Worker| worker.closing.unwrap_or_else(|| Account::read(worker.pid, worker.tid));
        let accounts = self.workers.iter().map(account).collect();
        self.orders[0].stop.store(true, Release);
        self.programs().for_each(RunningProgram::terminate);
        accounts
    }

    fn collect(mut self, stop_ns: u64, accounts: Vec<Account>) -> Vec<WorkerReport> {
        let mut programs = self.end_programs();
        let span = Span { from_ns: self.released_ns, to_ns: stop_ns, phase: None };
        let each = self.workers.iter().zip(&*self.slots).zip(accounts);
        let reports = each.map(|((worker, slot), account)| {
            let now = Counts::new(slot, account).with_own_cpu_time(slot);
            let report = span.report(slot, &now, &worker.first, &mut LatencyHistogram::default());
            match programs.remove(&worker.pid) {
                Some(program) => program.add_to(worker.sign(report, true)),
                None => worker.sign(report, slot.ended.load(Acquire)),
            }
        });
        reports.collect()
    }

    /// A worker that ended by itself is one whose report would be a lie.
    fn check_alive(&mut self) -> Result<(), Error> {
        for (worker, slot) in self.workers.iter().zip(&*self.slots) {
            if slot.ended.load(Acquire) {
                let error = io::Error::from_raw_os_error(slot.errno.load(Relaxed));
                return Err(Error::DiedEarly { worker: worker.to_string(), how: format!("{}: {error}", worker.work) });
            }
        }
        for process in self.processes.iter_mut().filter(|process| process.program.is_none()) {
            if let Some(status) = try_reap(process.pid) {
                process.running = false;
                let worker = self.workers.iter().find(|worker| worker.pid == process.pid);
                let worker = worker.map_or_else(|| process.pid.to_string(), Worker::to_string);
                return Err(Error::DiedEarly { worker, how: how_it_ended(status) });
            }
        }
        Ok(())
    }

    /// Waits for the workers that were told to stop.
    fn reap(&mut self, told_ns: u64) {
        loop {
            self.reap_ended();
            let waited = Duration::from_nanos(monotonic_ns().saturating_sub(told_ns));
            if !self.processes.iter().any(|process| process.running && waited < process.patience()) {
                return;
            }
            self.nudge();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn reap_ended(&mut self) {
        for process in self.processes.iter_mut().filter(|process| process.running) {
            process.running = match &process.program {
                Some(program) => !program.is_over(),
                None => try_reap(process.pid).is_none(),
            };
        }
    }

    /// Ends system calls that block. Again and again: a worker may have been just about to block.
    fn nudge(&self) {
        for (worker, slot) in self.workers.iter().zip(&*self.slots) {
            let reached = slot.started.load(Acquire) && !slot.ended.load(Acquire);
            let of_worker = |process: &&Process| process.pid == worker.pid && process.program.is_none();
            if reached && self.processes.iter().find(of_worker).is_some_and(|process| process.running) {
                // SAFETY: no pointers; the process is our child and not yet reaped, so the pid is its own.
                unsafe { libc::syscall(libc::SYS_tgkill, worker.pid, worker.tid, child::NUDGE) };
            }
        }
    }
}

impl Process {
    fn patience(&self) -> Duration {
        if self.program.is_some() { program::PATIENCE } else { STOP_PATIENCE }
    }
}

impl Drop for WorkloadHandle {
    fn drop(&mut self) {
        let left = || self.processes.iter().filter(|process| process.running && process.program.is_none());
        // SAFETY: plain system calls; these processes are our children and not yet reaped, so the pids are their own.
        left().for_each(|process| unsafe { _ = libc::kill(process.pid, libc::SIGKILL) });
        // SAFETY: as above.
        left().for_each(|process| unsafe { _ = libc::waitpid(process.pid, std::ptr::null_mut(), 0) });
    }
}

impl Worker {
    fn sign(&self, report: WorkerReport, stopped_in_time: bool) -> WorkerReport {
        WorkerReport {
            cgroup: self.cgroup.clone().unwrap_or_default(),
            work: self.work.to_owned(),
            index: self.index,
            pid: self.tid,
            policy: self.policy,
            nice: self.nice,
            affinity: self.affinity.clone(),
            stopped_in_time,
            ..report
        }
    }

    fn compare(&self, what: &'static str, asked: &str, got: &str) -> Result<(), Error> {
        if asked == got {
            return Ok(());
        }
        Err(Error::NotTaken { what, whom: self.to_string(), asked: asked.to_owned(), got: got.to_owned() })
    }
}

impl std::fmt::Display for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {} (pid {}) of {}", self.index, self.tid, config::place(self.cgroup.as_deref()))
    }
}

fn how_it_ended(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        return format!("signal {}", libc::WTERMSIG(status));
    }
    format!("exit status {}", libc::WEXITSTATUS(status))
}

/// The wait status of a child that has ended.
fn try_reap(pid: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: a live local; the pid is our own child's.
    let reaped = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    (reaped == pid).then_some(status)
}
