//! Steps do what they say, to real cgroups and CPUs, and leave nothing behind.

#![allow(clippy::unwrap_used, clippy::panic)]

use ktstr::prelude::*;
use ktstr::{CgroupFacts, PhaseReports};
use std::fs;

fn frac(part: f64) -> Step {
    Step::new(HoldSpec::Frac(part))
}

/// What the kernel said of a cgroup at the end of a phase.
fn facts<'a>(result: &'a AssertResult, phase: &str, cgroup: &str) -> Option<&'a CgroupFacts> {
    let phase: &PhaseReports = result.phases.iter().find(|other| other.phase == phase)?;
    phase.cgroups.iter().find(|other| other.cgroup == cgroup)
}

/// The CPUs that are online, and the cgroups that are left.
fn surroundings(ctx: &Ctx) -> Result<(CpuSet, Vec<String>)> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online")?.parse()?;
    let parent = ctx.cgroups().path("any")?;
    let entries = fs::read_dir(parent.parent().unwrap())?.collect::<Result<Vec<_>, _>>()?;
    let cgroups = entries.iter().filter(|entry| entry.path().is_dir());
    Ok((online, cgroups.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()))
}

#[ktstr_test(llcs = 2, cores = 2, threads = 1, duration_s = 1.0, gauntlet = false)]
fn ops_reach_the_kernel(ctx: &Ctx) -> Result<AssertResult> {
    let steps = vec![
        frac(0.2).setup([
            CgroupDef::named("a").with_cpuset(CpusetSpec::Llc(0)).cpu_weight(50).workers(2),
            CgroupDef::named("b/c").cpu_max(20_000, 100_000).workers(1),
        ]),
        frac(0.2).named("swapped").ops([
            Op::set_cpuset("b", CpusetSpec::Llc(1)),
            Op::set_cpuset("b/c", CpusetSpec::Range { start_frac: 0.75, end_frac: 1.0 }),
            Op::swap_cpusets("a", "b"),
            Op::set_weight("a", 200),
            Op::lift_max("b/c"),
        ]),
        frac(0.2).named("moved").ops([
            Op::clear_cpuset("b"),
            Op::add_cgroup("d"),
            Op::move_all_tasks("a", "d"),
            Op::remove_cgroup("a"),
            Op::set_affinity("d", AffinityKind::SingleCpu),
            Op::set_policy("b/c", SchedPolicy::Batch),
            Op::spawn_host(Work::default().workers(1).affinity(AffinityKind::Exact("1".parse()?))),
            Op::cpu_offline(3),
        ]),
        frac(0.2).named("stopped").ops([Op::freeze("d"), Op::stop_cgroup("b/c"), Op::cpu_online(3)]),
        Step::new(HoldSpec::Loop { interval: Duration::from_millis(50) })
            .named("loop")
            .ops([Op::spawn("b/c", Work::default().workers(1)), Op::stop_cgroup("b/c")]),
    ];
    let result = execute_steps(ctx, steps)?;
    let of = |phase: &str, cgroup: &str| {
        facts(&result, phase, cgroup).map_or_else(
            || "none".to_owned(),
            |facts| {
                format!("{} {} {:?} {}", facts.cpuset, facts.weight, facts.max.map(|max| max.quota_us), facts.frozen)
            },
        )
    };
    let expected = [
        ("step 0", "a", "0-1 50 None false"),
        ("step 0", "b", "0-3 100 None false"),
        ("step 0", "b/c", "0-3 100 Some(20000) false"),
        ("swapped", "a", "2-3 200 None false"),
        ("swapped", "b", "0-1 100 None false"),
        ("moved", "a", "none"),
        ("moved", "d", "0-2 100 None false"),
        ("moved", "b", "0-2 100 None false"),
        ("stopped", "d", "0-3 100 None true"),
        ("stopped", "b", "0-3 100 None false"),
        ("stopped", "b/c", "3 100 None false"),
    ];
    for (phase, cgroup, expected) in expected {
        let got = of(phase, cgroup);
        ensure!(got == expected, "in phase {phase} the kernel said of {cgroup} {got}, not {expected}");
    }
    let moved = &result.phases[2].reports;
    let seen: Vec<String> = moved
        .iter()
        .map(|report| format!("{:?} {} {:?} {}", report.cgroup, report.index, report.policy, report.cpus_visited))
        .collect();
    let expected = [r#""d" 0 Normal 0"#, r#""d" 1 Normal 1"#, r#""b/c" 0 Batch"#, r#""" 0 Normal 1"#];
    ensure!(seen.iter().zip(expected).all(|(seen, expected)| seen.starts_with(expected)), "{seen:?}");
    let began_in = |cgroup: &str| result.reports.iter().filter(|report| report.cgroup == cgroup).count();
    ensure!((began_in("a"), began_in("d"), began_in("")) == (2, 0, 1) && began_in("b/c") > 2, "{:?}", result.reports);
    let used = |phase, cgroup| facts(&result, phase, cgroup).map_or(0, |facts| facts.stat.usage_us);
    ensure!(used("stopped", "b/c") == 0 && used("stopped", "d") < 1_000, "stopped and frozen workers ran");
    // Three periods touch the phase, and CPUs take of the quota in slices of 5 ms.
    let fifth = used("step 0", "b/c");
    ensure!((20_000..80_000).contains(&fifth), "with a fifth of a CPU it ran for {fifth} of 200000 us");
    ensure!(used("loop", "b/c") > 0 && !facts(&result, "loop", "b/c").unwrap().steady, "the loop was no loop");
    let cpus = |phase: usize| result.phases[phase].cpus.iter().filter(|cpu| cpu.online).count();
    ensure!((cpus(1), cpus(2), cpus(3)) == (4, 3, 4), "{:?}", result.phases);
    ensure!(
        result.phases[3].cpus[2].idle_ms >= 150,
        "with nothing to run, CPU 2 was idle: {:?}",
        result.phases[3].cpus
    );
    ensure!(surroundings(ctx)? == ("0-3".parse()?, vec![]), "something is left: {:?}", surroundings(ctx)?);
    // Frozen workers had a gap, and the others came and went.
    Ok(AssertResult { findings: Vec::new(), ..result })
}

#[ktstr_test(cores = 2, threads = 1, duration_s = 0.5, gauntlet = false)]
fn what_cannot_be_done_is_told_and_undone(ctx: &Ctx) -> Result<AssertResult> {
    let error = |steps| execute_steps(ctx, steps).map_or_else(|error| format!("{error:#}"), |_| "none".to_owned());
    let before = frac(0.1).setup([CgroupDef::named("a").workers(1)]).ops([Op::cpu_offline(1)]);

    // The kernel has a limit of its own.
    let refused = error(vec![before.clone(), frac(0.1).named("late").ops([Op::set_max("a", u64::MAX / 1_000, 1_000)])]);
    ensure!(refused.starts_with("late: SetMax a 18446744073709551/1000 us: cannot write"), "{refused}");
    ensure!(surroundings(ctx)? == ("0-1".parse()?, vec![]), "something is left: {:?}", surroundings(ctx)?);

    let first = error(vec![before, frac(0.1).ops([Op::cpu_offline(0)])]);
    ensure!(first == "step 1, op 0, CpuOffline 0: CPU 0 is the only one that is online then", "{first}");
    let fixed = error(vec![frac(0.1).ops([Op::cpu_offline(0)])]);
    ensure!(fixed.contains("this kernel cannot take CPU 0 offline"), "{fixed}");
    let steps = vec![frac(1.0).setup([CgroupDef::named("a")])];
    execute_steps(ctx, steps)
}
