//! What a test body is given.

use crate::assert::{Assert, Checks};
use crate::guest::{Frame, Known, Reporter, Schedulers, at_once};
use crate::scheduler::BpfMapWrite;
use crate::scheduler::MapWriteText;
use crate::stimulus::{Stimulus, StimulusKind};
use anyhow::{Context, Result};
use ktstr_wire::{Machine, Topology};
use ktstr_workload::CgroupManager;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The test's surroundings in the guest.
#[derive(Debug)]
pub struct Ctx {
    run: RunContext,
    cgroups: CgroupManager,
    schedulers: Schedulers,
    reporter: Arc<Reporter>,
    random: Mutex<fastrand::Rng>,
}

/// What the host tells the test binary in the guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunContext {
    pub(crate) machine: Machine,
    pub(crate) seed: u64,
    pub(crate) duration_ns: u64,
    pub(crate) workers_per_cgroup: u32,
    /// The parent of every cgroup of the test, below the root of the hierarchy.
    pub(crate) cgroup_parent: String,
    pub(crate) sysctls: Vec<(String, String)>,
    /// The schedulers that the test may have.
    pub(crate) schedulers: Known,
    /// What the test asserts, and its scheduler where that says nothing.
    pub(crate) assert: Assert,
    /// What is asserted where they say nothing.
    pub(crate) defaults: Assert,
}

impl Ctx {
    pub(crate) fn new(run: RunContext, cgroups: CgroupManager, reporter: Arc<Reporter>) -> Self {
        let random = Mutex::new(fastrand::Rng::with_seed(run.seed));
        let schedulers = Schedulers::from_env(run.schedulers.clone());
        Self { run, cgroups, schedulers, reporter, random }
    }

    /// The machine's CPUs, as declared.
    pub fn topology(&self) -> Topology {
        self.run.machine.topology
    }

    /// The machine as declared: CPUs, NUMA nodes, their memory and distances.
    pub fn machine(&self) -> &Machine {
        &self.run.machine
    }

    /// How long the scenario should take.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.run.duration_ns)
    }

    /// The seed of every random choice.
    pub fn seed(&self) -> u64 {
        self.run.seed
    }

    /// Workers of a cgroup that does not say its own number.
    pub fn workers_per_cgroup(&self) -> u32 {
        self.run.workers_per_cgroup
    }

    /// The cgroups of this test.
    pub fn cgroups(&self) -> &CgroupManager {
        &self.cgroups
    }

    /// What is asserted of every worker: what the test declares, what its scheduler does, and the defaults for the rest.
    pub fn assert(&self) -> Checks {
        Checks::new(self.run.assert, self.run.defaults)
    }

    /// The process of the scheduler that was started last, whether or not it is still there; `None` where that is part of the
    /// kernel.
    pub fn sched_pid(&self) -> Option<i32> {
        self.schedulers.pid()
    }

    /// Stops the scheduler that runs, and starts another one of the test's by its name. It is enabled then. The one that runs
    /// can be named, too.
    ///
    /// # Errors
    /// When there is none of this name, or the kernel does not enable it.
    pub fn switch_scheduler(&self, name: &str) -> Result<()> {
        self.op(format!("SwitchScheduler {name}"), || self.schedulers.switch(name))
    }

    /// Stops the scheduler that runs and starts it again.
    ///
    /// # Errors
    /// When none runs, or the kernel does not enable it.
    pub fn restart_scheduler(&self) -> Result<()> {
        self.op("RestartScheduler".to_owned(), || self.schedulers.restart())
    }

    /// Stops the scheduler that runs: the kernel's own has all tasks then.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop_scheduler(&self) -> Result<()> {
        self.op("StopScheduler".to_owned(), || self.schedulers.stop())
    }

    /// Writes into a BPF map of the scheduler that runs, at once.
    ///
    /// # Errors
    /// When there is no such place, or the write has a time of its own.
    pub fn write_map(&self, write: &BpfMapWrite) -> Result<()> {
        let write = at_once(write)?;
        self.op(format!("WriteMap {}", MapWriteText(&write)), || self.schedulers.write(&write))
    }

    /// Does it, and adds it to the run's timeline.
    pub(crate) fn op(&self, text: String, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let at_ns = ktstr_workload::monotonic_ns();
        let done = act();
        let took_ns = ktstr_workload::monotonic_ns() - at_ns;
        let error = done.as_ref().err().map(|error| format!("{error:#}"));
        self.tell(Stimulus { at_ns, took_ns, kind: StimulusKind::Op, text: text.clone(), error })?;
        done.context(text)
    }

    /// For ops of scenarios, which tell of themselves.
    pub(crate) fn schedulers(&self) -> &Schedulers {
        &self.schedulers
    }

    /// A generator of random numbers by the seed, each call another one.
    pub fn rng(&self) -> fastrand::Rng {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fork()
    }

    /// Marks where a phase begins in the run's timeline; the one before it ends there.
    ///
    /// # Errors
    /// When the agent does not take it.
    pub fn phase(&self, name: impl Into<String>) -> Result<()> {
        self.mark(StimulusKind::Phase, name.into())
    }

    /// Adds a remark to the run's timeline.
    ///
    /// # Errors
    /// When the agent does not take it.
    pub fn note(&self, text: impl Into<String>) -> Result<()> {
        self.mark(StimulusKind::Note, text.into())
    }

    fn mark(&self, kind: StimulusKind, text: String) -> Result<()> {
        self.tell(Stimulus { at_ns: ktstr_workload::monotonic_ns(), took_ns: 0, kind, text, error: None })
    }

    /// Adds to the run's timeline.
    pub(crate) fn tell(&self, stimulus: Stimulus) -> Result<()> {
        self.reporter.send(&Frame::Stimulus(stimulus))
    }
}
