//! Workers and cgroups are what they were asked to be, by what the guest's kernel says, and measure what they do.

use ktstr::prelude::*;
use std::fs;

/// Long enough for every kind of work to go round several times.
const STRETCH: Duration = Duration::from_millis(100);

#[ktstr_test(numa_nodes = 2, llcs = 2, cores = 2, threads = 1, duration_s = 8, gauntlet = false)]
fn every_work_type_works(ctx: &Ctx) -> Result<AssertResult> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    group.create("cg")?;
    // Those that take a team have a test of their own.
    let alone = |work_type: &WorkType| work_type.team_size() == TeamSize::Any;
    for work_type in WorkType::all().into_iter().filter(alone) {
        let name = work_type.name();
        let moved_before = pages_migrated()?;
        let work = Work::new(work_type);
        let configs = [work.clone(), work.threads()].map(|work| WorkloadConfig::new("cg", 2, work, ctx.seed()));
        let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &configs).context(name)?;
        workload.start();
        std::thread::sleep(STRETCH);
        let first = workload.snapshot().context(name)?;
        std::thread::sleep(STRETCH);
        let whole = workload.stop_and_collect().context(name)?;
        for (first, whole) in first.iter().zip(&whole) {
            let brief = WorkerReport { runs: Vec::new(), ..whole.clone() };
            check(whole).with_context(|| format!("{name}: {brief:?}"))?;
            ensure!(first.iterations <= whole.iterations && first.wall_time_ns < whole.wall_time_ns, "{brief:?}");
        }
        ensure!(name != "numa_migration" || pages_migrated()? > moved_before, "no page was moved between nodes");
    }
    Ok(AssertResult::default())
}

/// What holds for every kind of work, and what for some.
fn check(report: &WorkerReport) -> Result<()> {
    ensure!(report.iterations > 0 && report.work_units > 0, "it did not go round");
    ensure!(report.stopped_in_time, "it did not stop");
    let to_ns = report.from_ns + report.wall_time_ns;
    ensure!(report.cpu_time_ns > 0, "it used no time");
    ensure!(report.longest_gap.length_ns <= report.wall_time_ns, "its gap is longer than its life");
    ensure!(report.run_delay_ns.is_some(), "no run delay");
    ensure!(report.voluntary_switches.is_some() && report.involuntary_switches.is_some(), "no switches");
    ensure!(report.cpus_visited.len() as u64 <= report.migrations + 1 && !report.cpus_visited.is_empty(), "CPUs");
    let progress = &report.progress;
    ensure!(progress.iterations.len() as u64 == report.wall_time_ns / progress.stretch_ns, "stretches");
    ensure!(progress.iterations.iter().map(|count| u64::from(*count)).sum::<u64>() <= report.iterations, "progress");
    ensure!(report.runs.iter().all(|run| report.cpus_visited.contains(run.cpu)), "it ran where it was not");
    ensure!(report.runs[0].from_ns >= report.from_ns && report.runs[0].from_ns < to_ns, "it ran before or after");
    ensure!(report.runs.windows(2).all(|two| two[0].from_ns + two[0].length_ns <= two[1].from_ns), "runs overlap");
    let sleeps = matches!(report.work.as_str(), "bursty" | "timer_periodic");
    ensure!(!sleeps || report.voluntary_switches > Some(0), "it never slept");
    ensure!(!(sleeps || report.work == "mixed") || !report.wake_latency.is_empty(), "it never woke");
    ensure!(report.work != "fork_exit" || report.voluntary_switches > Some(0), "it never waited for a child");
    ensure!(report.work != "affinity_churn" || report.cpus_visited.len() > 1, "it stayed on one CPU");
    Ok(())
}

fn pages_migrated() -> Result<u64> {
    let stat = fs::read_to_string("/proc/vmstat")?;
    let line = stat.lines().find_map(|line| line.strip_prefix("pgmigrate_success ")).context("no pgmigrate_success")?;
    Ok(line.parse()?)
}

#[ktstr_test(llcs = 2, cores = 2, threads = 1, duration_s = 4, gauntlet = false)]
fn workers_and_cgroups_are_as_asked(ctx: &Ctx) -> Result<AssertResult> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    policies(ctx, &mut group)?;
    places(ctx, &mut group)?;
    settings(ctx, &mut group)?;
    freezing(ctx, &mut group)?;
    Ok(AssertResult::default())
}

fn policies(ctx: &Ctx, group: &mut CgroupGroup) -> Result<()> {
    group.create("policies")?;
    let ms = Duration::from_millis;
    let deadline = SchedPolicy::Deadline { runtime: ms(2), deadline: ms(20), period: ms(20) };
    // Policy, priority and number as /proc/PID/stat has them (proc_pid_stat(5)).
    let policies = [
        (SchedPolicy::Normal, 0, 0),
        (SchedPolicy::Fifo(3), 3, 1),
        (SchedPolicy::RoundRobin(4), 4, 2),
        (SchedPolicy::Batch, 0, 3),
        (SchedPolicy::Idle, 0, 5),
        (deadline, 0, 6),
        (SchedPolicy::Ext, 0, 7),
    ];
    for (policy, priority, number) in policies {
        let work = Work::new(WorkType::YieldHeavy).sched_policy(policy).nice(4);
        let configs = [work.clone(), work.threads()].map(|work| WorkloadConfig::new("policies", 1, work, 1));
        let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &configs).with_context(|| format!("{policy:?}"))?;
        workload.start();
        std::thread::sleep(ms(20));
        for tid in workload.pids() {
            let said = [stat(tid, 19)?, stat(tid, 40)?, stat(tid, 41)?];
            ensure!(said == [4, priority, number], "{policy:?} with nice 4 is {said:?}");
        }
        workload.set_policy(1, SchedPolicy::Batch)?;
        ensure!(stat(workload.pids()[1], 41)? == 3 && stat(workload.pids()[0], 41)? == number, "the other was changed");
        workload.stop_and_collect()?;
    }
    let greedy = SchedPolicy::Deadline { runtime: ms(19), deadline: ms(20), period: ms(20) };
    let config = WorkloadConfig::new("policies", 8, Work::default().sched_policy(greedy), 1);
    let refused = WorkloadHandle::spawn(ctx.cgroups(), &[config]).err().context("all deadlines were admitted")?;
    ensure!(refused.to_string().contains("ask for less runtime in each period"), "{refused}");
    Ok(())
}

/// Cgroups, CPUs and threads.
fn places(ctx: &Ctx, group: &mut CgroupGroup) -> Result<()> {
    group.create("places/inner")?;
    group.create("elsewhere")?;
    ctx.cgroups().set_cpuset("places/inner", &"1-2".parse()?)?;
    let cpus = |text: &str| text.parse::<CpuSet>();
    let threads = WorkloadConfig {
        cpus: vec![cpus("2")?, cpus("0-3")?],
        ..WorkloadConfig::new("places/inner", 3, Work::default().threads(), 1)
    };
    let processes = WorkloadConfig::new("places/inner", 1, Work::default(), 1);
    let outside = WorkloadConfig::outside(1, Work::default(), 1);
    let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &[threads, processes, outside])?;
    workload.start();
    let tids = workload.pids();
    let allowed = |at: usize| status(tids[at], "Cpus_allowed_list");
    let all = [allowed(0)?, allowed(1)?, allowed(2)?, allowed(3)?, allowed(4)?];
    ensure!(all == ["2", "1-2", "1-2", "1-2", "0-3"], "the CPUs are {all:?}");
    let process = status(tids[0], "Tgid")?;
    let others = [status(tids[1], "Tgid")?, status(tids[2], "Tgid")?, status(tids[3], "Tgid")?];
    ensure!(others == [process.clone(), process, tids[3].to_string()], "the processes are {others:?}");
    let cgroup = |at: usize| fs::read_to_string(format!("/proc/{}/cgroup", tids[at]));
    ensure!((0..4).all(|at| cgroup(at).is_ok_and(|text| text.trim().ends_with("/places/inner"))), "{:?}", cgroup(0));
    ensure!(!cgroup(4)?.contains("ktstr/"), "the worker outside is in {}", cgroup(4)?);

    let refused = workload.set_affinity(3, &cpus("0,3")?).err().context("no CPU is in the cpuset")?;
    ensure!(refused.to_string().contains("set the affinity to CPUs 0,3 of worker 3"), "{refused}");
    ctx.cgroups().move_all_tasks("places/inner", "elsewhere")?;
    workload.set_affinity(3, &cpus("0,3")?)?;
    ensure!(allowed(3)? == "0,3", "{}", allowed(3)?);
    std::thread::sleep(Duration::from_millis(50));
    let reports = workload.stop_and_collect()?;
    let who: Vec<_> = reports.iter().map(|report| (report.cgroup.as_str(), report.index)).collect();
    let inner = "places/inner";
    ensure!(who == [(inner, 0), (inner, 1), (inner, 2), (inner, 3), ("", 0)], "{who:?}");
    ensure!(reports.iter().all(|report| report.stopped_in_time && report.work_units > 0), "{reports:#?}");
    ensure!(reports[0].cpus_visited == cpus("2")?, "{:#?}", reports[0]);
    Ok(())
}

fn settings(ctx: &Ctx, group: &mut CgroupGroup) -> Result<()> {
    group.create("settings")?;
    let cgroups = ctx.cgroups();
    let file = |file: &str| cgroups.read("settings", file);
    cgroups.set_weight("settings", 7)?;
    cgroups.set_max("settings", Some(CpuMax { quota_us: 5000, period_us: 20_000 }))?;
    cgroups.set_cpuset("settings", &"1,3".parse()?)?;
    let said = [file("cpu.weight")?, file("cpu.max")?, file("cpuset.cpus")?, file("cpuset.cpus.effective")?];
    ensure!(said == ["7", "5000 20000", "1,3", "1,3"], "{said:?}");
    cgroups.set_max("settings", None)?;
    cgroups.clear_cpuset("settings")?;
    let said = [file("cpu.max")?, file("cpuset.cpus")?, file("cpuset.cpus.effective")?];
    ensure!(said == ["max 20000", "", "0-3"], "{said:?}");
    for refused in [cgroups.set_weight("settings", 0), cgroups.set_cpuset("settings", &"9".parse()?)] {
        let refused = refused.err().context("no kernel takes that")?.to_string();
        ensure!(refused.starts_with("cannot write ") && refused.contains("/settings/"), "{refused}");
    }
    match cgroups.set_uclamp("settings", (12.5, 100.0)) {
        Ok(()) => ensure!(file("cpu.uclamp.min")? == "12.50" && file("cpu.uclamp.max")? == "max", "the clamps"),
        Err(error) => ensure!(error.to_string().contains("the kernel needs CONFIG_UCLAMP_TASK_GROUP"), "{error}"),
    }
    Ok(())
}

fn freezing(ctx: &Ctx, group: &mut CgroupGroup) -> Result<()> {
    group.create("frozen")?;
    let config = WorkloadConfig::new("frozen", 2, Work::new(WorkType::Mixed), 1);
    let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &[config])?;
    workload.start();
    std::thread::sleep(Duration::from_millis(20));
    ctx.cgroups().set_frozen("frozen", true)?;
    workload.snapshot()?;
    std::thread::sleep(Duration::from_millis(30));
    let frozen = workload.snapshot()?;
    ensure!(frozen.iter().all(|report| report.work_units == 0 && report.runs.is_empty()), "{frozen:#?}");
    ctx.cgroups().set_frozen("frozen", false)?;
    std::thread::sleep(Duration::from_millis(20));
    let thawed = workload.snapshot()?;
    ensure!(thawed.iter().all(|report| report.work_units > 0), "{thawed:#?}");
    ensure!(workload.stop_and_collect()?.iter().all(|report| report.stopped_in_time), "they did not stop");
    Ok(())
}

/// A field of `/proc/TID/stat`, counted from 1 (proc_pid_stat(5)).
fn stat(tid: i32, field: usize) -> Result<i64> {
    let text = fs::read_to_string(format!("/proc/{tid}/stat"))?;
    let (_, after_name) = text.rsplit_once(") ").context("no name")?;
    Ok(after_name.split(' ').nth(field - 3).with_context(|| format!("no field {field} in {text}"))?.parse()?)
}

/// A line of `/proc/TID/status` (proc_pid_status(5)).
fn status(tid: i32, key: &str) -> Result<String> {
    let text = fs::read_to_string(format!("/proc/{tid}/status"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
    Ok(value.with_context(|| format!("no {key} in {text}"))?.trim().to_owned())
}
