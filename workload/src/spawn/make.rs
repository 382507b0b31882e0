//! How a group of workers comes to be.

use super::child::{self, Task};
use super::config::place;
use super::program::RunningProgram;
use super::tally::Counts;
use super::{Process, Worker, WorkloadConfig, WorkloadHandle, how_it_ended, try_reap};
use crate::clock::monotonic_ns;
use crate::error::Error;
use crate::histogram::LatencyHistogram;
use crate::program::{Launch, Outputs, Program, Watch};
use crate::spec::WorkerKind;
use crate::team::{Means, Team};
use crate::work;
use crate::work_type::WorkType;
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering::Acquire;
use std::time::Duration;

/// How long it may take until the threads of a group have begun; a machine that is busy with real-time tasks may let them
/// wait for nearly a second at a time.
const THREADS_PATIENCE: Duration = Duration::from_secs(10);

/// The same under a sched_ext scheduler. One that starves them is for the kernel's watchdog to find, which takes half over
/// again its 30 s at most; after that they do run.
const SCHED_EXT_PATIENCE: Duration = Duration::from_secs(60);

/// What tells whether there is one (Documentation/scheduler/sched-ext.rst).
const SCHED_EXT_STATE: &str = "/sys/kernel/sched_ext/state";

impl WorkloadHandle {
    /// Makes the workers of one configuration. On an error they end with the handle.
    pub(super) fn spawn_group(&mut self, config: &WorkloadConfig) -> Result<(), Error> {
        let (work, count) = (&config.work, config.workers as usize);
        if let Some(fault) = work::fault(work, config.workers) {
            return Err(Error::BadWork { work_type: work.work_type.clone(), fault });
        }
        let first = self.workers.len();
        let error = |doing, source| Error::Spawn { doing, place: place(config.cgroup.as_deref()), source };
        let launch = match &work.work_type {
            WorkType::Program(program) => Some(Launch::prepare(program)?),
            _ => None,
        };
        let needs = work::needs(&work.work_type, count);
        let means = Means::new(needs).map_err(|source| error("make pipes and shared memory", source))?;
        let (forked, outcome) = self.fork_group(config, &means, launch.as_ref(), first..first + count);
        let made: Vec<(i32, usize)> = forked.iter().map(|(process, workers)| (process.pid, *workers)).collect();
        self.processes.extend(forked.into_iter().map(|(process, _)| process));
        outcome.map_err(|source| error("fork", source))?;
        for (pid, workers) in made {
            if let Some(cgroup) = &config.cgroup {
                self.cgroups.move_task(cgroup, pid)?;
            }
            self.add_workers(config, pid, workers)?;
        }
        for (number, at) in (first..self.workers.len()).zip(0..) {
            if let Some(cpus) = config.cpus.get(at) {
                self.set_affinity(number, cpus)?;
            }
            self.set_policy(number, config.work.sched_policy)?;
        }
        Ok(())
    }

    /// The processes that were made, each with the number of its workers, and whether these are all.
    fn fork_group(
        &self,
        config: &WorkloadConfig,
        means: &Means,
        launch: Option<&Launch>,
        group: Range<usize>,
    ) -> (Vec<(Process, usize)>, io::Result<()>) {
        let slots = &self.slots[group.clone()];
        let task = |number: usize| Task {
            orders: &self.orders[0],
            team: Team { index: number - group.start, slots, means },
            work_type: &config.work.work_type,
            seed: config.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        let tasks: Vec<Task<'_>> = group.clone().map(task).collect();
        let workers_each = match config.work.kind {
            WorkerKind::Process => 1,
            WorkerKind::Thread => tasks.len().max(1),
        };
        let mut forked = Vec::new();
        let outcome = tasks.chunks(workers_each).try_for_each(|tasks| {
            let process = match (launch, &config.work.work_type) {
                (Some(launch), WorkType::Program(program)) => fork_program(&tasks[0], launch, program)?,
                _ => Process { pid: fork(tasks, config.work.kind)?, running: true, program: None },
            };
            forked.push((process, tasks.len()));
            Ok(())
        });
        (forked, outcome)
    }

    fn add_workers(&mut self, config: &WorkloadConfig, pid: i32, workers: usize) -> Result<(), Error> {
        for _ in 0..workers {
            let tid = match config.work.kind {
                WorkerKind::Process => pid,
                WorkerKind::Thread => self.await_thread(config, pid)?,
            };
            let index = self.workers.iter().filter(|worker| worker.cgroup == config.cgroup).count() as u32;
            self.workers.push(Worker {
                cgroup: config.cgroup.clone(),
                work: config.work.work_type.name(),
                index,
                pid,
                tid,
                policy: config.work.sched_policy,
                nice: config.work.nice,
                affinity: None,
                first: Counts::default(),
                last: Counts::default(),
                seen: LatencyHistogram::default(),
                closing: None,
            });
        }
        Ok(())
    }

    /// The id of the thread that is the next worker.
    fn await_thread(&mut self, config: &WorkloadConfig, pid: i32) -> Result<i32, Error> {
        let slot = &self.slots[self.workers.len()];
        let give_up_ns = monotonic_ns() + threads_patience().as_nanos() as u64;
        let error = |source| Error::Spawn { doing: "make threads", place: place(config.cgroup.as_deref()), source };
        loop {
            match slot.tid.load(Acquire) {
                0 => {}
                tid => return Ok(tid),
            }
            if let Some(status) = try_reap(pid) {
                self.processes
                    .iter_mut()
                    .filter(|process| process.pid == pid)
                    .for_each(|process| process.running = false);
                let said = libc::WIFEXITED(status).then(|| io::Error::from_raw_os_error(libc::WEXITSTATUS(status)));
                return Err(error(said.unwrap_or_else(|| io::Error::other(how_it_ended(status)))));
            }
            if monotonic_ns() > give_up_ns {
                return Err(error(io::Error::new(io::ErrorKind::TimedOut, "their process does not get to run")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn threads_patience() -> Duration {
    let enabled = std::fs::read_to_string(SCHED_EXT_STATE).is_ok_and(|state| state.trim() != "disabled");
    if enabled { SCHED_EXT_PATIENCE } else { THREADS_PATIENCE }
}

/// A process of one worker, or of threads that are.
fn fork(tasks: &[Task<'_>], kind: WorkerKind) -> io::Result<i32> {
    let parent = std::process::id() as i32;
    // Made before the fork, because a child cannot allocate.
    let mut threads: Vec<libc::pthread_t> = vec![0; tasks.len()];
    // SAFETY: the child of a process that may have several threads calls only async-signal-safe functions, and to make
    // threads what glibc keeps usable in such a child; it never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => match kind {
            WorkerKind::Process => child::process(&tasks[0], parent),
            WorkerKind::Thread => child::threads(tasks, &mut threads, parent),
        },
        pid => Ok(pid),
    }
}

/// A process that becomes a program.
fn fork_program(task: &Task<'_>, launch: &Launch, program: &Program) -> io::Result<Process> {
    let parent = std::process::id() as i32;
    let outputs = Outputs::new()?;
    let exec_args = launch.exec_args(&outputs);
    // SAFETY: the child calls only async-signal-safe functions and never returns.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => child::program(task, launch, &exec_args, parent),
        pid => match Watch::begin(pid, outputs) {
            Ok(watch) => Ok(Process { pid, running: true, program: Some(RunningProgram::new(program, watch)) }),
            Err(error) => {
                // SAFETY: plain system calls; the process is our child and not yet reaped, so the pid is its own.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, std::ptr::null_mut(), 0);
                }
                Err(error)
            }
        },
    }
}
