//! What is changed of a scheduler from outside: values in its maps while a test runs, and the kernel's watchdog.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{Chosen, SchedulerClass};
use support::{Outcome, Specimen};

const SOUND: Scheduler = Scheduler::new("sound").binary(SchedulerSpec::package("scx-ktstr")).topology(1, 1, 2, 1);
const STALLS: Scheduler = SOUND.sched_args(&["--fault", "stall-task"]);

const HALF_A_SECOND: Duration = Duration::from_millis(500);
const ERR: BpfMapWrite = BpfMapWrite::variable("fault_error_exit", &1u64.to_ne_bytes());
const STALL: BpfMapWrite = BpfMapWrite::variable("fault_stall_task", &1u32.to_ne_bytes());
const GO_ON: BpfMapWrite = BpfMapWrite::variable("fault_stall_task", &0u32.to_ne_bytes());
const ERR_LATER: BpfMapWrite = ERR.after(HALF_A_SECOND);
const MISSPELT: BpfMapWrite = BpfMapWrite::variable("fault_error_exits", &1u64.to_ne_bytes());
const TOO_SHORT: BpfMapWrite = BpfMapWrite::variable("fault_error_exit", &[1]);

fn class(outcome: &Outcome) -> SchedulerClass {
    outcome.record.guest.schedulers[0].exit.class
}

#[ktstr_test(scheduler = SOUND, bpf_map_write = ERR_LATER, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by a_fault_begins_when_it_is_written"]
fn errs_later(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_fault_begins_when_it_is_written() {
    let outcome = Specimen::new("errs_later").run();
    outcome.expect("Fail", &["scheduler_sound", "scx_bpf_error (ktstr: fault_error_exit, at "]);
    let guest = &outcome.record.guest;
    let [write] = guest.schedulers[0].map_writes.as_slice() else { panic!("{:?}", guest.schedulers) };
    let after_ns = write.at_ns - guest.started_ns.unwrap();
    assert!((500_000_000..600_000_000).contains(&after_ns), "{after_ns}");
    assert!(guest.schedulers[0].enabled[0].disabled_ns.unwrap() > write.at_ns, "{:?}", guest.schedulers);
}

#[ktstr_test(scheduler = SOUND, watchdog_timeout_s = 5, duration_s = 2, max_gap_ms = 900, gauntlet = false)]
#[ignore = "a specimen: run by a_step_switches_a_fault_on_and_off"]
fn stalls_for_a_while(ctx: &Ctx) -> Result<AssertResult> {
    let step = |name: &str, part, write| Step::new(HoldSpec::Frac(part)).named(name).ops([Op::write_map(&write)]);
    let before = Step::new(HoldSpec::Frac(0.25)).setup([CgroupDef::named("a").workers(2)]);
    execute_steps(ctx, vec![before, step("stalled", 0.5, STALL), step("after", 0.25, GO_ON)])
}

#[test]
fn a_step_switches_a_fault_on_and_off() {
    let outcome = Specimen::new("stalls_for_a_while").run();
    outcome.expect("Fail", &["max_gap_ms: ", " did not run for 1."]);
    assert_eq!(class(&outcome), SchedulerClass::Clean);
}

#[ktstr_test(scheduler = SOUND, bpf_map_write = MISSPELT, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by what_cannot_be_written_is_told"]
fn misspells(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(scheduler = SOUND, bpf_map_write = TOO_SHORT, duration_s = 1, gauntlet = false)]
#[ignore = "a specimen: run by what_cannot_be_written_is_told"]
fn writes_too_little(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn what_cannot_be_written_is_told() {
    Specimen::new("misspells").run().expect("Inconclusive", &["fault_error_exits", "fault_error_exit"]);
    Specimen::new("writes_too_little").run().expect("Inconclusive", &["fault_error_exit", "8"]);
}

#[ktstr_test(scheduler = STALLS, watchdog_timeout_s = 1.5, duration_s = 4, gauntlet = false)]
#[ignore = "a specimen: run by the_watchdog_waits_as_long_as_the_test_says"]
fn waits_shortly(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn the_watchdog_waits_as_long_as_the_test_says() {
    let outcome = Specimen::new("waits_shortly").run();
    let verdict = outcome.record.verdict.to_string();
    // A stall that a CPU of a loaded host has a part in is not the scheduler's alone. Emulated ones have none.
    let is_charged = verdict.contains("but the host kept a vCPU waiting");
    assert!(!is_charged || outcome.record.accel == Some(Chosen::Kvm), "{verdict}");
    let word = if is_charged { "Inconclusive" } else { "Fail" };
    outcome.expect(word, &["scheduler_serves", "runnable task stall (", "failed to run for "]);
    assert_eq!(class(&outcome), SchedulerClass::Stalled);
    let (_, rest) = verdict.split_once("failed to run for ").unwrap();
    let seconds: f64 = rest.split_once('s').unwrap().0.parse().unwrap();
    // The kernel looks twice in its watchdog's time.
    assert!((1.5..=2.5).contains(&seconds), "{verdict}");
}
