//! Steps become running workloads.

use crate::assert::{AssertResult, Checks, PhaseReports};
use crate::ctx::Ctx;
use crate::scenarios::hotplug;
use crate::scenarios::op::Op;
use crate::scenarios::plan::{Planned, Surroundings, plan};
use crate::scenarios::priority::{OnTime, in_turns};
use crate::scenarios::stage::Stage;
use crate::scenarios::step::Step;
use crate::scenarios::world::World;
use anyhow::{Context, Result};
use ktstr_wire::CpuSet;
use ktstr_workload::{CgroupDef, WorkerReport};
use std::time::{Duration, Instant};

/// Makes the cgroups, runs their workers for the test's duration, and checks what they report.
///
/// # Errors
/// As [`execute_steps`].
pub fn execute_defs(ctx: &Ctx, defs: Vec<CgroupDef>) -> Result<AssertResult> {
    execute_steps(ctx, vec![Step::default().setup(defs)])
}

/// Runs the steps one after the other, and checks what the workers report by what the test asserts.
///
/// # Errors
/// [`PlanError`](crate::scenarios::PlanError), before anything is done, when a step cannot be done. Otherwise what a step
/// and an op came to, or that a worker ended by itself.
pub fn execute_steps(ctx: &Ctx, steps: Vec<Step>) -> Result<AssertResult> {
    execute_steps_with(ctx, steps, &ctx.assert())
}

/// Runs the steps one after the other, and checks what the workers report.
///
/// # Errors
/// As [`execute_steps`].
pub fn execute_steps_with(ctx: &Ctx, steps: Vec<Step>, checks: &Checks) -> Result<AssertResult> {
    let cpus: CpuSet = (0..ctx.topology().cpus()).collect();
    let removable = hotplug::removable(&cpus);
    let around = Surroundings {
        machine: ctx.machine(),
        duration: ctx.duration(),
        workers_per_cgroup: ctx.workers_per_cgroup(),
        world: World::new(cpus, removable).with_schedulers(ctx.schedulers().known()),
    };
    let (reports, phases) = run(ctx, &plan(&steps, around)?)?;
    Ok(checks.check_phases(reports, phases))
}

fn run(ctx: &Ctx, steps: &[Planned]) -> Result<(Vec<WorkerReport>, Vec<PhaseReports>)> {
    let _on_time = OnTime::begin().context("cannot give the scenario's thread real-time priority")?;
    let mut stage = Stage::new(ctx);
    let mut phases = Vec::with_capacity(steps.len());
    for (left, step) in (0..steps.len()).rev().zip(steps) {
        ctx.phase(&step.name)?;
        let phase = run_step(&mut stage, step).and_then(|()| if left > 0 { stage.end_phase() } else { stage.close() });
        phases.extend(phase.with_context(|| step.name.clone())?);
    }
    Ok((stage.finish()?, phases))
}

fn run_step(stage: &mut Stage<'_>, step: &Planned) -> Result<()> {
    step.setup.iter().try_for_each(|op| stage.perform(op))?;
    if !step.ops.is_empty() {
        stage.start();
    }
    perform(stage, &step.ops)?;
    stage.begin_phase(&step.name)?;
    let end = Instant::now() + step.hold;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::sleep(step.every.unwrap_or(Duration::MAX).min(left));
        if step.every.is_some() && Instant::now() < end {
            perform(stage, &step.ops)?;
            stage.note_change()?;
        }
    }
    Ok(())
}

fn perform(stage: &mut Stage<'_>, ops: &[Op]) -> Result<()> {
    let mut perform_one = |op| {
        stage.perform(op)?;
        stage.start();
        Ok(())
    };
    ops.iter().try_for_each(|op| in_turns(|| perform_one(op)))
}
