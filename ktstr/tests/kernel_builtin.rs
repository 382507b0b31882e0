//! What is part of the kernel and turned on by its files, as schedulers are: features of the kernel's own scheduler.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{SchedulerClass, SchedulerRun};
use ktstr_wire::scheduler::{EndCause, SchedulerEnd};
use support::{Outcome, Specimen};

const FEATURES: &str = "/sys/kernel/debug/sched/features";
/// Lines that are written here come out on the console, in the order in which they were written.
const CONSOLE: &str = "/dev/kmsg";
const ON: &str = "<4>ktstr-test: has been turned on";
const BODY: &str = "<4>ktstr-test: the body has come to its end";
const OFF: &str = "<4>ktstr-test: has been turned off";

const fn builtin(
    name: &'static str,
    enable: &'static [(&'static str, &'static str)],
    disable: &'static [(&'static str, &'static str)],
) -> Scheduler {
    Scheduler::new(name).binary(SchedulerSpec::KernelBuiltin { enable, disable }).topology(1, 1, 2, 1)
}

/// The kernel is without `PLACE_LAG` (kernel/sched/features.h) while it is on.
const LAGLESS: Scheduler =
    builtin("lagless", &[(FEATURES, "NO_PLACE_LAG"), (CONSOLE, ON)], &[(FEATURES, "PLACE_LAG"), (CONSOLE, OFF)]);

/// The kernel has one of the values that turn it on, and takes no other.
const HALF: Scheduler = builtin(
    "half",
    &[(FEATURES, "NO_PLACE_LAG"), (CONSOLE, ON), (FEATURES, "NO_SUCH_FEATURE")],
    &[(FEATURES, "PLACE_LAG"), (CONSOLE, OFF)],
);

/// It cannot be turned off.
const STUCK: Scheduler = builtin("stuck", &[(FEATURES, "NO_PLACE_LAG"), (CONSOLE, ON)], &[("/sys/kernel/absent", "0")]);

const FIFO: Scheduler = Scheduler::new("fifo").binary(SchedulerSpec::package("scx-ktstr")).topology(1, 1, 2, 1);

fn lag_is_placed() -> Result<bool> {
    let features = std::fs::read_to_string(FEATURES)?;
    let mut words = features.split_whitespace();
    let word = words.find(|word| word.ends_with("PLACE_LAG")).context("the kernel has no feature PLACE_LAG")?;
    Ok(word == "PLACE_LAG")
}

/// Where in the console each of the lines is that were written there.
fn places<const N: usize>(outcome: &Outcome, lines: [&str; N]) -> [Option<usize>; N] {
    lines.map(|line| outcome.console_log.find(line.trim_start_matches("<4>")))
}

fn end(run: &SchedulerRun) -> &SchedulerEnd {
    run.end.as_ref().unwrap_or_else(|| panic!("no end of {run:?}"))
}

#[ktstr_test(scheduler = LAGLESS, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by it_is_on_while_the_body_runs"]
fn runs_lagless(ctx: &Ctx) -> Result<AssertResult> {
    ensure!(!lag_is_placed()?, "it is not on when the body begins");
    ensure!(ctx.sched_pid().is_none(), "it has the process {:?}", ctx.sched_pid());
    let result = scenarios::steady(ctx)?;
    ensure!(!lag_is_placed()?, "it is off before the body has ended");
    std::fs::write(CONSOLE, BODY)?;
    Ok(result)
}

#[test]
fn it_is_on_while_the_body_runs() {
    let outcome = Specimen::new("runs_lagless").run();
    outcome.expect("Pass", &[]);
    let [on, body, off] = places(&outcome, [ON, BODY, OFF]);
    assert!(on.is_some() && on < body && body < off, "{on:?} {body:?} {off:?} in {}", outcome.console_log);
    let guest = &outcome.record.guest;
    let [run] = guest.schedulers.as_slice() else { panic!("{:?}", guest.schedulers) };
    let [span] = run.enabled.as_slice() else { panic!("{run:?}") };
    assert_eq!((span.ops.as_str(), span.disabled_ns, run.exit.class), ("", None, SchedulerClass::Clean));
    assert!(Some(span.from_ns) <= guest.started_ns && guest.exited_ns <= Some(end(run).at_ns), "{guest:?}");
    assert_eq!(end(run).cause, EndCause::Asked);
    assert_eq!(outcome.record.scheduler.binary, "part of the kernel");
}

#[ktstr_test(scheduler = LAGLESS, schedulers = [FIFO], duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by it_takes_turns_with_programs"]
fn takes_turns(ctx: &Ctx) -> Result<AssertResult> {
    ctx.switch_scheduler("fifo")?;
    ensure!(lag_is_placed()? && ctx.sched_pid().is_some(), "it is on beside the program");
    ctx.switch_scheduler("lagless")?;
    let state = std::fs::read_to_string("/sys/kernel/sched_ext/state")?;
    ensure!(!lag_is_placed()? && state.trim() == "disabled", "it is not on, or sched_ext is {state}");
    ctx.restart_scheduler()?;
    ensure!(!lag_is_placed()?, "it is not on again");
    ctx.stop_scheduler()?;
    ensure!(lag_is_placed()?, "it has not been turned off");
    Ok(AssertResult::default())
}

#[test]
fn it_takes_turns_with_programs() {
    let outcome = Specimen::new("takes_turns").run();
    outcome.expect("Pass", &[]);
    let runs = &outcome.record.guest.schedulers;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["lagless", "fifo", "lagless", "lagless"]);
    assert!(runs.iter().all(|run| run.exit.class == SchedulerClass::Clean), "{runs:?}");
}

#[ktstr_test(scheduler = HALF, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by what_cannot_be_turned_on_is_told"]
fn is_half_on(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("the body ran though its scheduler was not on");
}

#[test]
fn what_cannot_be_turned_on_is_told() {
    let outcome = Specimen::new("is_half_on").run();
    let told = format!(
        "the scheduler half could not be started: cannot write \"NO_SUCH_FEATURE\" to {FEATURES}: Invalid argument"
    );
    outcome.expect("Inconclusive", &[&told]);
    let guest = &outcome.record.guest;
    let [run] = guest.schedulers.as_slice() else { panic!("{:?}", guest.schedulers) };
    assert!(run.enabled.is_empty() && matches!(end(run).cause, EndCause::NotStarted(_)), "{run:?}");
    assert_eq!((guest.started_ns, &guest.result), (None, &None), "the body is not started");
    let [on, off] = places(&outcome, [ON, OFF]);
    assert!(on.is_some() && on < off, "what was on is left on: {}", outcome.console_log);
}

#[ktstr_test(scheduler = STUCK, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by what_cannot_be_turned_off_is_told"]
fn stays_on(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn what_cannot_be_turned_off_is_told() {
    let outcome = Specimen::new("stays_on").run();
    outcome.expect("Inconclusive", &["cannot write \"0\" to /sys/kernel/absent: No such file or directory"]);
    assert!(outcome.record.guest.result.is_some(), "the body went on to its end");
}
