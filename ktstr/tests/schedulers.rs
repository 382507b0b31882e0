//! The life of a scheduler in the guest: started, replaced, stopped, gone astray, and told of.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{HostPart, Record, SchedulerRun};
use ktstr_wire::ExitStatus;
use ktstr_wire::message::{decode, encode};
use ktstr_wire::scheduler::{
    EndCause, REQUEST_FD_ENV, SCHEDULER_PID_ENV, SchedulerEnd, SchedulerReply, SchedulerRequest,
};
use std::fs::File;
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use support::{Outcome, Specimen};

const SCX: Scheduler = Scheduler::new("scx-ktstr").binary(SchedulerSpec::package("scx-ktstr")).topology(1, 1, 2, 1);

/// Its program does nothing at the signal that asks it to end.
const DEAF: Scheduler = SCX.stop_signal(libc::SIGURG);

/// No schedulers, but programs that are started as such.
const fn script(name: &'static str, args: &'static [&'static str]) -> Scheduler {
    Scheduler::new(name).binary(SchedulerSpec::Name("bash")).sched_args(args).topology(1, 1, 2, 1)
}

const LOUD: Scheduler = script("loud", &["-c", "echo begin; printf '%10000000s\\n'; echo end; exit 3"]);
const LEAVES_CHILD: Scheduler = script("leaves-child", &["-c", "while :; do :; done & exit 4"]);

fn state() -> Result<String> {
    Ok(std::fs::read_to_string("/sys/kernel/sched_ext/state")?.trim().to_owned())
}

fn pid() -> Result<i32> {
    Ok(std::env::var(SCHEDULER_PID_ENV)?.parse()?)
}

/// Sends a signal to the scheduler that runs from the start.
fn signal(signal: i32) -> Result<()> {
    let pid = pid()?;
    // SAFETY: no pointers.
    ensure!(unsafe { libc::kill(pid, signal) } == 0, "cannot send signal {signal} to {pid}");
    Ok(())
}

/// What the agent answers.
fn ask(request: &SchedulerRequest) -> Result<SchedulerReply> {
    let fd = std::env::var(REQUEST_FD_ENV)?.parse()?;
    // SAFETY: the agent made the descriptor for this process; it stays open.
    let mut socket = ManuallyDrop::new(unsafe { File::from_raw_fd(fd) });
    let bytes = encode(request);
    socket.write_all(&[&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat())?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut reply = vec![0; u32::from_le_bytes(length) as usize];
    socket.read_exact(&mut reply)?;
    Ok(decode(&reply)?)
}

/// All runs of schedulers, each with its end.
fn runs(outcome: &Outcome) -> Vec<(&SchedulerRun, &SchedulerEnd)> {
    let runs = &outcome.record.guest.schedulers;
    runs.iter().map(|run| (run, run.end.as_ref().unwrap_or_else(|| panic!("no end of {run:?}")))).collect()
}

/// The one run, which ended so; the kernel has no scheduler afterwards.
fn check(outcome: &Outcome, cause: EndCause, status: ExitStatus, killed: bool) -> &SchedulerRun {
    let runs = runs(outcome);
    let [(run, end)] = runs.as_slice() else { panic!("one run is expected in {runs:?}") };
    assert_eq!((&end.cause, end.status.as_ref(), end.killed), (&cause, Some(&status), killed), "{run:?}");
    assert_eq!(end.state, "disabled");
    run
}

fn was_disabled(run: &SchedulerRun) -> bool {
    run.enabled.iter().all(|span| span.disabled_ns.is_some())
}

#[ktstr_test(scheduler = SCX, duration_s = 1)]
#[ignore = "a specimen: run by schedulers_leave_records_that_follow_from_the_seed"]
fn runs_twice(ctx: &Ctx) -> Result<AssertResult> {
    ensure!(state()? == "enabled", "the body began while sched_ext was {}", state()?);
    scenarios::steady(ctx)
}

#[test]
fn schedulers_leave_records_that_follow_from_the_seed() {
    let run = || Specimen::new("runs_twice").env("KTSTR_ACCEL", "tcg").env("KTSTR_SEED", "7").run();
    let (first, second) = (run(), run());
    first.expect("Pass", &[]);
    let text = |record: &Record| {
        serde_json::to_string_pretty(&Record { host: HostPart::default(), ..record.clone() }).unwrap()
    };
    assert_eq!(text(&first.record), text(&second.record));
    let run = check(&first, EndCause::Asked, ExitStatus::Code(0), false);
    assert_eq!(run.ops(), Some("ktstr"));
    assert!(run.stdout.starts_with("ktstr: enabled") && run.stderr.contains("EXIT: unregistered"), "{run:?}");
    assert!(run.kernel.iter().any(|line| line.line.contains("BPF scheduler \"ktstr\" enabled")), "{:?}", run.kernel);
    assert!(!was_disabled(run), "{run:?}");
}

#[ktstr_test(scheduler = SCX, duration_s = 1)]
#[ignore = "a specimen: run by a_scheduler_is_replaced_and_stopped"]
fn replaces(_ctx: &Ctx) -> Result<AssertResult> {
    let first = pid()?;
    let SchedulerReply::Done { pid: Some(second) } = ask(&SchedulerRequest::Switch(0))? else {
        bail!("it was not started again");
    };
    ensure!(second != first && state()? == "enabled", "{first} became {second}, and sched_ext is {}", state()?);
    for _ in 0..2 {
        let reply = ask(&SchedulerRequest::Stop)?;
        ensure!(reply == SchedulerReply::Done { pid: None } && state()? == "disabled", "{reply:?}, {}", state()?);
    }
    let SchedulerReply::Failed(why) = ask(&SchedulerRequest::Switch(7))? else { bail!("there is no such scheduler") };
    ensure!(why.contains("no scheduler 7"), "{why}");
    Ok(AssertResult::default())
}

#[test]
fn a_scheduler_is_replaced_and_stopped() {
    let outcome = Specimen::new("replaces").run();
    outcome.expect("Pass", &[]);
    let runs = runs(&outcome);
    assert_eq!(runs.len(), 2, "{runs:?}");
    for (run, end) in runs {
        assert_eq!((&end.cause, end.status.as_ref()), (&EndCause::Asked, Some(&ExitStatus::Code(0))), "{run:?}");
        assert!(run.load_ns().is_some() && !was_disabled(run), "{run:?}");
    }
}

#[ktstr_test(scheduler = SCX, duration_s = 1)]
#[ignore = "a specimen: run by a_killed_scheduler_does_not_end_the_test"]
fn kills_it(ctx: &Ctx) -> Result<AssertResult> {
    signal(libc::SIGKILL)?;
    scenarios::steady(ctx)
}

#[test]
fn a_killed_scheduler_does_not_end_the_test() {
    let outcome = Specimen::new("kills_it").run();
    let run = check(&outcome, EndCause::Itself, ExitStatus::Signal(libc::SIGKILL), false);
    assert!(was_disabled(run), "{run:?}");
    assert_eq!(outcome.record.guest.exit_status, Some(ExitStatus::Code(0)), "{}", outcome.record.guest.output);
    assert!(outcome.record.guest.result.is_some(), "the body went on to its end");
}

#[ktstr_test(scheduler = DEAF, duration_s = 1)]
#[ignore = "a specimen: run by a_scheduler_that_ignores_its_signal_is_killed"]
fn is_deaf(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_scheduler_that_ignores_its_signal_is_killed() {
    let outcome = Specimen::new("is_deaf").run();
    let run = check(&outcome, EndCause::Asked, ExitStatus::Signal(libc::SIGKILL), true);
    assert!(!was_disabled(run), "{run:?}");
}

#[ktstr_test(scheduler = LOUD)]
#[ignore = "a specimen: run by all_output_of_a_scheduler_that_does_not_load_comes"]
fn is_loud(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("the body ran without its scheduler");
}

#[test]
fn all_output_of_a_scheduler_that_does_not_load_comes() {
    let outcome = Specimen::new("is_loud").run();
    let run = check(&outcome, EndCause::Itself, ExitStatus::Code(3), false);
    assert!(run.stdout.starts_with("begin\n") && run.stdout.ends_with(" \nend\n"), "{} bytes", run.stdout.len());
    assert!(run.enabled.is_empty(), "{:?}", run.enabled);
    assert_eq!(outcome.record.guest.started_ns, None, "the body is not started");
}

#[ktstr_test(scheduler = LEAVES_CHILD)]
#[ignore = "a specimen: run by what_a_scheduler_leaves_behind_is_ended"]
fn leaves_child(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("the body ran without its scheduler");
}

#[test]
fn what_a_scheduler_leaves_behind_is_ended() {
    let outcome = Specimen::new("leaves_child").run();
    let run = check(&outcome, EndCause::Itself, ExitStatus::Code(4), false);
    // It holds the pipes of its parent, which would be waited for.
    let took_ns = run.end.as_ref().unwrap().at_ns - run.starting_ns;
    assert!(took_ns < 1_000_000_000, "it took {took_ns} ns");
}
