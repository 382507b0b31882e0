//! Scenarios that many tests want, as they are.

use super::machine::{first, halves, some_cpus};
use crate::assert::AssertResult;
use crate::ctx::Ctx;
use crate::scenarios::{HoldSpec, Op, Step, execute_defs, execute_steps, execute_steps_with};
use anyhow::Result;
use ktstr_workload::{AffinityKind, CgroupDef, CpusetSpec, Work, WorkType};
use std::time::Duration;

fn two() -> [CgroupDef; 2] {
    [CgroupDef::named("cg_0"), CgroupDef::named("cg_1")]
}

fn frac(part: f64) -> Step {
    Step::new(HoldSpec::Frac(part))
}

/// Two cgroups of CPU-bound workers, undisturbed for the whole duration.
///
/// # Errors
/// As [`execute_defs`].
pub fn steady(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, two().to_vec())
}

/// A cgroup on each LLC, up to eight of them: workers are to be spread within an LLC and not beyond.
///
/// # Errors
/// As [`execute_defs`].
pub fn steady_llc(ctx: &Ctx) -> Result<AssertResult> {
    let llcs = 0..ctx.topology().llcs.min(8);
    let defs = llcs.map(|llc| CgroupDef::named(format!("cg_{llc}")).with_cpuset(CpusetSpec::Llc(llc)));
    execute_defs(ctx, defs.collect())
}

/// Three workers for each CPU, in two cgroups on the same CPUs: everyone has to wait for its turn, and gets it.
///
/// # Errors
/// As [`execute_defs`].
pub fn oversubscribed(ctx: &Ctx) -> Result<AssertResult> {
    let cpus = some_cpus(ctx);
    let workers = 3 * cpus.len() as u32;
    let [one, other] = two().map(|def| def.with_cpuset(CpusetSpec::Exact(cpus.clone())));
    let steps = vec![frac(1.0).setup([one.workers(workers.div_ceil(2)), other.workers(workers / 2 + 1)])];
    // Each is due a third of a CPU, so shares cannot differ by much more than that; who starves has a gap.
    execute_steps_with(ctx, steps, &ctx.assert().relaxed(|defaults| defaults.max_spread_pct = None))
}

/// Workers that run on all CPUs are confined to a half each, while they run.
///
/// # Errors
/// As [`execute_steps`].
pub fn cpuset_apply(ctx: &Ctx) -> Result<AssertResult> {
    let [one, other] = halves(ctx);
    let confine = [Op::set_cpuset("cg_0", one), Op::set_cpuset("cg_1", other)];
    execute_steps(ctx, vec![frac(0.5).setup(two()), frac(0.5).named("confined").ops(confine)])
}

/// Workers that are confined to a half each may use all CPUs again, while they run.
///
/// # Errors
/// As [`execute_steps`].
pub fn cpuset_clear(ctx: &Ctx) -> Result<AssertResult> {
    let [one, other] = halves(ctx);
    let [cg_0, cg_1] = two();
    let free = [Op::clear_cpuset("cg_0"), Op::clear_cpuset("cg_1")];
    let confined = [cg_0.with_cpuset(one), cg_1.with_cpuset(other)];
    execute_steps(ctx, vec![frac(0.5).setup(confined), frac(0.5).named("free").ops(free)])
}

/// A cgroup's CPUs become fewer and more again beside one that may use all.
///
/// # Errors
/// As [`execute_steps`].
pub fn cpuset_resize(ctx: &Ctx) -> Result<AssertResult> {
    let resized = |name, part| frac(0.25).named(name).ops([Op::set_cpuset("cg_0", first(ctx, part))]);
    let steps = vec![frac(0.25).setup(two()), resized("half", 0.5), resized("quarter", 0.25), resized("whole", 1.0)];
    execute_steps(ctx, steps)
}

/// A second cgroup with workers of its own comes while the first one's run.
///
/// # Errors
/// As [`execute_steps`].
pub fn cgroup_add(ctx: &Ctx) -> Result<AssertResult> {
    let [cg_0, cg_1] = two();
    execute_steps(ctx, vec![frac(0.5).setup([cg_0]), frac(0.5).named("added").setup([cg_1])])
}

/// One of three cgroups goes with its workers, and the others have its CPU time.
///
/// # Errors
/// As [`execute_steps`].
pub fn cgroup_remove(ctx: &Ctx) -> Result<AssertResult> {
    let before = frac(0.5).setup(two()).setup([CgroupDef::named("cg_2")]);
    execute_steps(ctx, vec![before, frac(0.5).named("removed").ops([Op::remove_cgroup("cg_2")])])
}

/// Workers get other affinities while they run: some CPUs, one each, those of an LLC, all again.
///
/// # Errors
/// As [`execute_steps`].
pub fn affinity_change(ctx: &Ctx) -> Result<AssertResult> {
    let changed = |name, affinity: AffinityKind| {
        let ops = ["cg_0", "cg_1"].map(|cgroup| Op::set_affinity(cgroup, affinity.clone()));
        frac(0.2).named(name).ops(ops)
    };
    let steps = vec![
        frac(0.2).setup(two()),
        changed("some CPUs", AffinityKind::RandomSubset),
        changed("one CPU each", AffinityKind::SingleCpu),
        changed("an LLC each", AffinityKind::LlcAligned),
        changed("all CPUs", AffinityKind::Inherit),
    ];
    // Whoever has a CPU of its own for a time got more than those that had to share one, and rightly so.
    execute_steps_with(ctx, steps, &ctx.assert().relaxed(|defaults| defaults.max_spread_pct = None))
}

/// Workers with one CPU each, beside others that may run anywhere and have to make room for them.
///
/// # Errors
/// As [`execute_defs`].
pub fn affinity_pinned(ctx: &Ctx) -> Result<AssertResult> {
    let [pinned, free] = two();
    let pinned = pinned.affinity(AffinityKind::SingleCpu).workers(some_cpus(ctx).len() as u32);
    execute_defs(ctx, vec![pinned, free])
}

/// Workers outside of every cgroup of the test, as many as CPUs, come beside those of two cgroups.
///
/// # Errors
/// As [`execute_steps`].
pub fn host_contention(ctx: &Ctx) -> Result<AssertResult> {
    let host = Work::default().workers(some_cpus(ctx).len() as u32);
    let steps = vec![frac(0.3).setup(two()), frac(0.7).named("contended").ops([Op::spawn_host(host)])];
    // There are more of them than CPUs, and not as many on each: who has one alone gets twice as much. Who starves has a gap.
    execute_steps_with(ctx, steps, &ctx.assert().relaxed(|defaults| defaults.max_spread_pct = None))
}

/// Workers that compute, yield, sleep, write, wait for timers and for each other, each kind in a cgroup of its own.
///
/// # Errors
/// As [`execute_defs`].
pub fn mixed_workloads(ctx: &Ctx) -> Result<AssertResult> {
    let ms = Duration::from_millis;
    let kinds = [
        WorkType::CpuSpin,
        WorkType::YieldHeavy,
        WorkType::Bursty { burst: ms(5), sleep: ms(5) },
        WorkType::IoSync,
        WorkType::TimerPeriodic { period: ms(10), work: ms(1) },
        WorkType::FutexPingPong,
    ];
    let def = |kind: WorkType| CgroupDef::named(kind.name()).work_type(kind).workers(2);
    execute_defs(ctx, kinds.into_iter().map(def).collect())
}

/// Cgroups below others beside one at the top.
///
/// # Errors
/// As [`execute_defs`].
pub fn nested_steady(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, ["outer/cg_0", "outer/inner/cg_1", "cg_2"].map(CgroupDef::named).to_vec())
}

/// Workers move from a cgroup below one to a cgroup below another, and back.
///
/// # Errors
/// As [`execute_steps`].
pub fn nested_task_move(ctx: &Ctx) -> Result<AssertResult> {
    let defs = ["left/cg_0", "right/cg_1"].map(CgroupDef::named);
    let there = [Op::add_cgroup("right/guest"), Op::move_all_tasks("left/cg_0", "right/guest")];
    let back = [Op::move_all_tasks("right/guest", "left/cg_0"), Op::remove_cgroup("right/guest")];
    let steps =
        vec![frac(0.3).setup(defs), frac(0.35).named("moved").ops(there), frac(0.35).named("moved back").ops(back)];
    execute_steps(ctx, steps)
}
