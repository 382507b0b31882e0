//! Scenarios that do much of one thing.

use super::machine::{halves, some_cpus};
use crate::assert::AssertResult;
use crate::ctx::Ctx;
use crate::scenarios::{HoldSpec, Op, Step, execute_defs, execute_steps, execute_steps_with, hotplug};
use anyhow::Result;
use ktstr_workload::{CgroupDef, WorkType};
use std::time::Duration;

/// How often something changes in scenarios that change things often.
const INTERVAL: Duration = Duration::from_millis(20);

/// The most CPUs that go offline and come back in one repetition.
const STORM_CPUS: usize = 3;

fn storm() -> Step {
    Step::new(HoldSpec::Loop { interval: INTERVAL }).named("storm")
}

/// Four cgroups for each CPU, from 16 to 64, each with one worker.
///
/// # Errors
/// As [`execute_defs`].
pub fn many_cgroups(ctx: &Ctx) -> Result<AssertResult> {
    let count = (4 * ctx.topology().cpus()).clamp(16, 64);
    execute_defs(ctx, (0..count).map(|number| CgroupDef::named(format!("cg_{number}")).workers(1)).collect())
}

/// Eight workers for each of up to 16 CPUs, in one cgroup.
///
/// # Errors
/// As [`execute_defs`].
pub fn many_workers(ctx: &Ctx) -> Result<AssertResult> {
    let workers = 8 * some_cpus(ctx).len() as u32;
    let steps = vec![Step::default().setup([CgroupDef::named("cg_0").workers(workers)])];
    // They begin on the CPUs on which they were made. Between busy LLCs the kernel balances so seldom that it takes a second
    // and more until all get alike.
    let spread_in_time = ctx.topology().llcs == 1;
    let checks =
        ctx.assert().relaxed(|defaults| defaults.max_spread_pct = defaults.max_spread_pct.filter(|_| spread_in_time));
    execute_steps_with(ctx, steps, &checks)
}

/// The CPUs of cgroups change every few milliseconds: two swap theirs, a third one is confined and freed.
///
/// # Errors
/// As [`execute_steps`].
pub fn rapid_topology_changes(ctx: &Ctx) -> Result<AssertResult> {
    let [one, other] = halves(ctx);
    let defs = [
        CgroupDef::named("cg_0").with_cpuset(one.clone()),
        CgroupDef::named("cg_1").with_cpuset(other),
        CgroupDef::named("cg_2"),
    ];
    let ops = [Op::swap_cpusets("cg_0", "cg_1"), Op::set_cpuset("cg_2", one), Op::clear_cpuset("cg_2")];
    execute_steps(ctx, vec![Step::new(HoldSpec::Frac(0.2)).setup(defs), storm().ops(ops)])
}

/// CPUs go offline and come back again and again, and the workers on them have to go elsewhere. Where no CPU can go,
/// the workers are left alone, and a note says so.
///
/// # Errors
/// As [`execute_steps`].
pub fn hotplug_storm(ctx: &Ctx) -> Result<AssertResult> {
    let before = Step::new(HoldSpec::Frac(0.2)).setup([CgroupDef::named("cg_0"), CgroupDef::named("cg_1")]);
    let all = ctx.topology().cpus();
    // The first one stays, and there are more on large machines than a repetition should take.
    let removable: Vec<u32> = hotplug::removable(&(1..all).collect()).iter().take(STORM_CPUS).collect();
    if removable.is_empty() {
        ctx.note(format!("none of {all} CPUs can be taken offline"))?;
        return execute_steps(ctx, vec![before, Step::new(HoldSpec::Frac(0.8))]);
    }
    let (offline, online) =
        (removable.iter().copied().map(Op::cpu_offline), removable.iter().copied().map(Op::cpu_online));
    execute_steps(ctx, vec![before, storm().ops(offline.chain(online))])
}

/// Two processes for each of up to 16 CPUs that fork without a pause, beside workers that compute.
///
/// # Errors
/// As [`execute_defs`].
pub fn fork_storm(ctx: &Ctx) -> Result<AssertResult> {
    let forks = CgroupDef::named("forks").work_type(WorkType::ForkExit).workers(2 * some_cpus(ctx).len() as u32);
    execute_defs(ctx, vec![forks, CgroupDef::named("cg_1")])
}
