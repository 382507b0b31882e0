//! Several schedulers, one after the other, in one scenario.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::SchedulerClass;
use ktstr::prelude::*;
use support::Specimen;

const FIFO: Scheduler = Scheduler::new("fifo").binary(SchedulerSpec::package("scx-ktstr")).topology(1, 1, 2, 1);
const SHORT: Scheduler =
    Scheduler::new("short").binary(SchedulerSpec::package("scx-ktstr")).sched_args(&["--slice-us", "5000"]);

/// What the kernel says of sched_ext.
fn state() -> Result<String> {
    Ok(std::fs::read_to_string("/sys/kernel/sched_ext/state")?.trim().to_owned())
}

#[ktstr_test(scheduler = FIFO, schedulers = [SHORT], duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by schedulers_follow_each_other"]
fn follows(ctx: &Ctx) -> Result<AssertResult> {
    let first = ctx.sched_pid().context("the first scheduler has no process")?;
    let step = |op| Step::new(HoldSpec::Frac(0.25)).ops([op]);
    let result = execute_steps(
        ctx,
        vec![
            Step::new(HoldSpec::Frac(0.25)).setup([CgroupDef::named("a").workers(2)]),
            step(Op::switch_scheduler("short")),
            step(Op::RestartScheduler),
            step(Op::StopScheduler),
        ],
    )?;
    ensure!(state()? == "disabled" && ctx.sched_pid().is_none(), "a scheduler is left");
    ctx.switch_scheduler("fifo")?;
    let last = ctx.sched_pid().context("the last scheduler has no process")?;
    ensure!(state()? == "enabled" && first != last, "the first scheduler was not started anew");
    Ok(result)
}

#[test]
fn schedulers_follow_each_other() {
    let outcome = Specimen::new("follows").run();
    outcome.expect("Pass", &[]);
    let runs = &outcome.record.guest.schedulers;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["fifo", "short", "short", "fifo"]);
    assert!(runs.iter().all(|run| run.exit.class == SchedulerClass::Clean && run.load_ns().is_some()), "{runs:?}");
    let done: Vec<&str> = outcome.record.guest.stimuli.iter().map(|stimulus| stimulus.text.as_str()).collect();
    for op in ["SwitchScheduler short", "RestartScheduler", "StopScheduler", "SwitchScheduler fifo"] {
        assert!(done.contains(&op), "{op} is not among {done:?}");
    }
}

#[ktstr_test(scheduler = FIFO, gauntlet = false)]
#[ignore = "a specimen: run by an_unknown_scheduler_is_refused"]
fn asks_for_another(ctx: &Ctx) -> Result<AssertResult> {
    execute_steps(ctx, vec![Step::new(HoldSpec::Frac(1.0)).named("odd").ops([Op::switch_scheduler("short")])])
}

#[test]
fn an_unknown_scheduler_is_refused() {
    let reason = "odd, op 0, SwitchScheduler short: there is no scheduler \"short\" among fifo: add it by `schedulers`";
    Specimen::new("asks_for_another").run().expect("Fail", &[reason]);
}
