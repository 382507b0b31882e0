//! Workloads of rt-app's, run by ktstr and by rt-app itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ktstr::prelude::*;
use std::collections::BTreeMap;
use std::fs;

/// A thread with a period, phases with different ones, two that wake each other by turns at the pace of a third, one that asks
/// and waits for an answer with a mutex in its hand, and two that meet at a barrier. `runtime` and not `run`, which rt-app
/// calibrates for seconds: 1516 ns is what it finds a turn of its loop to take under emulation, and it looks at the clock
/// once in some turns. rt-app wants each key once.
const WORKLOAD: &str = r#"{
    "tasks" : {
        "periodic" : { "runtime" : 1000, "timer" : { "ref" : "unique", "period" : 20000 } },
        "phased" : { "phases" : {
            "light" : { "loop" : 3, "runtime" : 500, "timer" : { "ref" : "unique", "period" : 10000, "mode" : "absolute" } },
            "heavy" : { "loop" : 2, "runtime" : 4000, "timer" : { "ref" : "unique", "period" : 30000, "mode" : "absolute" } }
        } },
        "tick" : { "resume" : "ping", "timer" : { "ref" : "tick", "period" : 25000 } },
        "ping" : { "suspend" : "ping", "runtime0" : 300, "resume" : "pong" },
        "pong" : { "suspend" : "pong", "lock" : "m", "runtime0" : 300, "unlock" : "m" },
        "asks" : { "lock" : "desk", "runtime" : 200, "sync" : { "ref" : "bell", "mutex" : "desk" }, "unlock" : "desk", "sleep" : 9000 },
        "answers" : { "sleep" : 12000, "lock" : "desk", "signal" : "bell", "unlock" : "desk" },
        "first" : { "sleep" : 15000, "barrier" : "meet" },
        "second" : { "runtime" : 200, "barrier" : "meet" }
    },
    "global" : { "duration" : 3, "calibration" : 1516, "default_policy" : "SCHED_OTHER", "logdir" : "/tmp", "log_basename" : "w" }
}"#;

/// How often each thread went through a phase in a second.
type Rates = BTreeMap<String, f64>;

#[ktstr_test(cores = 4, duration_s = 3, gauntlet = false, programs = ["rt-app"])]
fn agrees_with_rt_app(ctx: &Ctx) -> Result<AssertResult> {
    let app: RtApp = WORKLOAD.parse()?;
    let seconds = app.duration().context("no duration")?.as_secs_f64();
    let names: Vec<String> = app.threads().map(str::to_owned).collect();
    let own = execute_defs(ctx, vec![CgroupDef::named("own").work_type(WorkType::RtApp(app))])?;
    let of = |report: &WorkerReport| report.iterations as f64 * 1e9 / report.wall_time_ns as f64;
    let ours: Rates = names.iter().cloned().zip(own.reports.iter().map(of)).collect();
    for (name, report) in names.iter().zip(&own.reports).filter(|(name, _)| *name != "second") {
        ensure!(!report.wake_latency.is_empty(), "{name} measured no wake latency");
    }

    fs::write("/tmp/workload.json", WORKLOAD)?;
    let theirs = the_program(ctx, &names, seconds)?;
    println!("own {ours:?}\nrt-app {theirs:?}");
    for (name, ours) in &ours {
        let theirs = theirs[name];
        // What differs is the round that the end cuts off, and how long after the beginning each first round begins.
        let tolerance = 2.0 / seconds + 0.05 * theirs;
        ensure!(
            (ours - theirs).abs() <= tolerance,
            "{name} goes round {ours:.1} times a second, in rt-app {theirs:.1}"
        );
    }
    Ok(own)
}

/// What the packaged program does; it writes a line for each round of a phase.
fn the_program(ctx: &Ctx, names: &[String], seconds: f64) -> Result<Rates> {
    let program = Program::new("rt-app").arg("/tmp/workload.json");
    let config = WorkloadConfig::outside(1, Work::new(WorkType::Program(program)), ctx.seed());
    let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &[config])?;
    workload.start();
    std::thread::sleep(Duration::from_secs_f64(seconds + 2.0));
    let reports = workload.stop_and_collect()?;
    let report = reports[0].program.as_ref().context("no program")?;
    ensure!(!report.stopped && report.failure().is_none(), "{report:?}");
    let rate = |(number, name): (usize, &String)| {
        let path = format!("/tmp/w-{name}-{number}.log");
        let log = fs::read_to_string(&path).with_context(|| format!("{path}: {report:?}"))?;
        let rounds = log.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        Ok((name.clone(), rounds as f64 / seconds))
    };
    names.iter().enumerate().map(rate).collect()
}
