//! The cgroups, workers and CPUs of a running scenario, and what is done to them.

use crate::assert::PhaseReports;
use crate::ctx::Ctx;
use crate::scenarios::hotplug::{Hotplug, online};
use crate::scenarios::measure::{Measure, cpus_now};
use crate::scenarios::op::Op;
use crate::scenarios::priority::Turns;
use anyhow::Result;
use ktstr_wire::CpuSet;
use ktstr_workload::{
    AffinityKind, CgroupGroup, EndedPhase, Error, SchedPolicy, Work, WorkerReport, WorkloadConfig, WorkloadHandle,
};

/// Everything that a scenario has made. Dropping it ends the workers, brings the CPUs back and removes the cgroups, in
/// this order.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    ctx: &'a Ctx,
    crews: Vec<Crew>,
    /// Those that have not begun yet.
    waiting: Vec<Crew>,
    hotplug: Hotplug,
    group: CgroupGroup,
    frozen: Vec<String>,
    random: fastrand::Rng,
    /// What workers measured that are gone.
    gone: Vec<WorkerReport>,
    measure: Option<Measure>,
}

/// Workers that came together.
#[derive(Debug)]
struct Crew {
    /// Where they are now; none outside of the test's cgroups.
    cgroup: Option<String>,
    handle: WorkloadHandle,
}

impl<'a> Stage<'a> {
    pub(super) fn new(ctx: &'a Ctx) -> Self {
        Self {
            ctx,
            crews: Vec::new(),
            waiting: Vec::new(),
            hotplug: Hotplug::default(),
            group: CgroupGroup::new(ctx.cgroups()),
            frozen: Vec::new(),
            random: ctx.rng(),
            gone: Vec::new(),
            measure: None,
        }
    }

    /// Does it and tells the host of it. Workers that it makes wait for [`Stage::start`].
    pub(super) fn perform(&mut self, op: &Op) -> Result<()> {
        self.ctx.op(op.to_string(), || self.apply(op))
    }

    /// Lets the workers that wait begin.
    pub(super) fn start(&mut self) {
        WorkloadHandle::start_together(self.waiting.iter_mut().map(|crew| &mut crew.handle));
        self.crews.append(&mut self.waiting);
    }

    /// Lets the workers that wait begin, too. From now on what workers and cgroups do belongs to this phase.
    pub(super) fn begin_phase(&mut self, name: &str) -> Result<()> {
        // Before workers begin: what is asked of the kernel takes long beside many that compute.
        let mut measure = Measure::begin(name, self.ctx.cgroups(), self.group.names())?;
        let fresh = self.crews.len();
        self.start();
        // The first phase of those that begin now begins with them.
        let ended: Vec<EndedPhase> =
            self.crews[..fresh].iter_mut().map(|crew| crew.handle.next_phase()).collect::<Result<_, _>>()?;
        measure.start()?;
        self.measure = Some(measure);
        // What they did before is no phase's.
        self.report(ended);
        Ok(())
    }

    /// Something was done since the phase began.
    pub(super) fn note_change(&mut self) -> Result<()> {
        match &mut self.measure {
            Some(measure) => measure.changed(self.ctx.cgroups(), self.group.names()),
            None => Ok(()),
        }
    }

    /// What was measured since the phase began.
    pub(super) fn end_phase(&mut self) -> Result<Option<PhaseReports>> {
        self.end_phase_by(WorkloadHandle::next_phase)
    }

    /// The same of the last phase. Nothing counts any more, up to when workers are stopped.
    pub(super) fn close(&mut self) -> Result<Option<PhaseReports>> {
        self.end_phase_by(WorkloadHandle::close)
    }

    fn end_phase_by(
        &mut self,
        end: impl Fn(&mut WorkloadHandle) -> Result<EndedPhase, Error>,
    ) -> Result<Option<PhaseReports>> {
        let Some(mut measure) = self.measure.take() else { return Ok(None) };
        measure.stop()?;
        let ended = self.crews.iter_mut().map(|crew| end(&mut crew.handle)).collect::<Result<_, _>>()?;
        let reports = self.report(ended);
        let cpus = self.ctx.topology().cpus();
        measure.end(reports, self.ctx.cgroups(), self.group.names(), cpus).map(Some)
    }

    /// What the first crews measured in phases that have ended.
    fn report(&mut self, ended: Vec<EndedPhase>) -> Vec<WorkerReport> {
        let mut turns = Turns::begin();
        let each = self.crews.iter_mut().zip(ended);
        each.flat_map(|(crew, ended)| crew.report(ended, || turns.next())).collect()
    }

    /// Undoes what would keep workers from ending, ends them, and tells what all workers of the scenario measured.
    pub(super) fn finish(mut self) -> Result<Vec<WorkerReport>> {
        for cgroup in std::mem::take(&mut self.frozen) {
            self.ctx.cgroups().set_frozen(&cgroup, false)?;
        }
        self.gone.extend(stop_together(std::mem::take(&mut self.crews))?);
        self.hotplug.restore()?;
        Ok(self.gone)
    }

    fn apply(&mut self, op: &Op) -> Result<()> {
        let cgroups = self.ctx.cgroups();
        match op {
            Op::AddCgroup { cgroup } => self.group.create(cgroup)?,
            Op::RemoveCgroup { cgroup } => {
                self.stop(cgroup)?;
                self.group.remove(cgroup)?;
            }
            Op::SetCpuset { cgroup, cpus } => cgroups.set_cpuset(cgroup, &cpus.resolve(self.ctx.machine())?)?,
            Op::ClearCpuset { cgroup } => cgroups.clear_cpuset(cgroup)?,
            Op::SwapCpusets { a, b } => self.swap_cpusets(a, b)?,
            Op::Spawn { cgroup, work } => self.spawn(Some(cgroup), work)?,
            Op::SpawnHost { work } => self.spawn(None, work)?,
            Op::StopCgroup { cgroup } => self.stop(cgroup)?,
            Op::SetAffinity { cgroup, affinity } => self.set_affinity(cgroup, affinity)?,
            Op::MoveAllTasks { from, to } => self.move_all_tasks(from, to)?,
            Op::SetWeight { cgroup, weight } => cgroups.set_weight(cgroup, *weight)?,
            Op::SetMax { cgroup, max } => cgroups.set_max(cgroup, *max)?,
            Op::SetUclamp { cgroup, min_pct, max_pct } => cgroups.set_uclamp(cgroup, (*min_pct, *max_pct))?,
            Op::SetPolicy { cgroup, policy } => self.set_policy(cgroup, *policy)?,
            Op::Freeze { cgroup } => {
                cgroups.set_frozen(cgroup, true)?;
                self.frozen.push(cgroup.clone());
            }
            Op::Thaw { cgroup } => {
                cgroups.set_frozen(cgroup, false)?;
                self.frozen.retain(|frozen| frozen != cgroup);
            }
            Op::CpuOffline { cpu } => self.hotplug.take_offline(*cpu)?,
            Op::CpuOnline { cpu } => self.hotplug.bring_online(*cpu)?,
            Op::SwitchScheduler { scheduler } => self.ctx.schedulers().switch(scheduler)?,
            Op::RestartScheduler => self.ctx.schedulers().restart()?,
            Op::StopScheduler => self.ctx.schedulers().stop()?,
            Op::WriteMap { write } => self.ctx.schedulers().write(&write.write)?,
        }
        Ok(())
    }

    fn swap_cpusets(&self, a: &str, b: &str) -> Result<()> {
        let cgroups = self.ctx.cgroups();
        let (of_a, of_b) = (cgroups.read(a, "cpuset.cpus")?, cgroups.read(b, "cpuset.cpus")?);
        // One that has none is empty, and writing nothing at all would not reach the kernel.
        cgroups.write(a, "cpuset.cpus", &format!("{of_b}\n"))?;
        cgroups.write(b, "cpuset.cpus", &format!("{of_a}\n"))?;
        Ok(())
    }

    fn spawn(&mut self, cgroup: Option<&str>, work: &Work) -> Result<()> {
        let workers = work.count(self.ctx.workers_per_cgroup());
        let cpus = self.affinities(cgroup, &work.affinity, workers)?;
        let seed = self.random.u64(..);
        let config = match cgroup {
            Some(cgroup) => WorkloadConfig::new(cgroup, workers, work.clone(), seed),
            None => WorkloadConfig::outside(workers, work.clone(), seed),
        };
        let handle = WorkloadHandle::spawn(self.ctx.cgroups(), &[WorkloadConfig { cpus, ..config }])?;
        self.waiting.push(Crew { cgroup: cgroup.map(str::to_owned), handle });
        Ok(())
    }

    /// The CPUs of as many workers of a cgroup; none when they have those of the cgroup.
    fn affinities(&mut self, cgroup: Option<&str>, affinity: &AffinityKind, workers: u32) -> Result<Vec<CpuSet>> {
        let cpuset = match cgroup {
            Some(cgroup) => cpus_now(self.ctx.cgroups(), cgroup)?,
            None => online()?,
        };
        let machine = self.ctx.machine();
        let cpus = (0..workers).map(|index| affinity.resolve(machine, &cpuset, index, &mut self.random));
        Ok(cpus.flatten().collect())
    }

    fn set_affinity(&mut self, cgroup: &str, affinity: &AffinityKind) -> Result<()> {
        let workers: u32 =
            self.crews.iter().filter(|crew| crew.is_in(cgroup)).map(|crew| crew.handle.pids().len() as u32).sum();
        let mut cpus = self.affinities(Some(cgroup), affinity, workers)?;
        if cpus.is_empty() {
            // Of these the kernel takes what the cgroup has, now and later.
            cpus = vec![(0..self.ctx.topology().cpus()).collect(); workers as usize];
        }
        let mut cpus = cpus.iter();
        for crew in self.crews.iter_mut().filter(|crew| crew.is_in(cgroup)) {
            for (number, cpus) in (0..crew.handle.pids().len()).zip(&mut cpus) {
                crew.handle.set_affinity(number, cpus)?;
            }
        }
        Ok(())
    }

    fn set_policy(&mut self, cgroup: &str, policy: SchedPolicy) -> Result<()> {
        for crew in self.crews.iter_mut().filter(|crew| crew.is_in(cgroup)) {
            for number in 0..crew.handle.pids().len() {
                crew.handle.set_policy(number, policy)?;
            }
        }
        Ok(())
    }

    fn move_all_tasks(&mut self, from: &str, to: &str) -> Result<()> {
        self.ctx.cgroups().move_all_tasks(from, to)?;
        for crew in self.crews.iter_mut().filter(|crew| crew.is_in(from)) {
            crew.cgroup = Some(to.to_owned());
        }
        Ok(())
    }

    fn stop(&mut self, cgroup: &str) -> Result<()> {
        let is_around = |frozen: &mut String| {
            cgroup.strip_prefix(frozen.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        for frozen in self.frozen.extract_if(.., is_around) {
            self.ctx.cgroups().set_frozen(&frozen, false)?;
        }
        let mut crews: Vec<Crew> = self.crews.extract_if(.., |crew| crew.is_in(cgroup)).collect();
        if let Some(measure) = &mut self.measure {
            for crew in &mut crews {
                let ended = crew.handle.close()?;
                measure.add_gone(crew.report(ended, || ()));
            }
        }
        self.gone.extend(stop_together(crews)?);
        Ok(())
    }
}

impl Crew {
    fn is_in(&self, cgroup: &str) -> bool {
        self.cgroup.as_deref() == Some(cgroup)
    }

    /// What they measured in the phase, under the name of the cgroup that they are in now.
    fn report(&mut self, ended: EndedPhase, between: impl FnMut()) -> Vec<WorkerReport> {
        let cgroup = self.cgroup.clone().unwrap_or_default();
        let reports = self.handle.report_phase(ended, between).into_iter();
        reports.map(|report| WorkerReport { cgroup: cgroup.clone(), ..report }).collect()
    }
}

/// What workers measured in their whole life. It stays under the name of the cgroup where they began: those that came
/// together are to be compared with each other, wherever they went.
fn stop_together(crews: Vec<Crew>) -> Result<Vec<WorkerReport>> {
    Ok(WorkloadHandle::stop_together(crews.into_iter().map(|crew| crew.handle).collect())?)
}
