//! The schedulers of the kernel's own tools/sched_ext, as its source has them: they schedule, and what scx_qmap does wrong
//! when it is asked to is told for what it is.
//!
//! `cargo xtask kernel schedulers --into target/ktstr/sched_ext` builds them, `cargo xtask ci` does before it runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{Restart, SchedulerClass};
use support::{Outcome, Specimen};

/// A scheduler of the kernel's source.
macro_rules! of_the_kernel {
    ($name:literal) => {
        Scheduler::new($name).binary(SchedulerSpec::Path(concat!(
            env!("CARGO_TARGET_TMPDIR"),
            "/../ktstr/sched_ext/",
            $name
        )))
    };
}

const SIMPLE: Scheduler = of_the_kernel!("scx_simple");
const QMAP: Scheduler = of_the_kernel!("scx_qmap");
const CENTRAL: Scheduler = of_the_kernel!("scx_central");
const FLATCG: Scheduler = of_the_kernel!("scx_flatcg");

#[ktstr_test(cores = 2, scheduler = SIMPLE)]
fn scx_simple_schedules(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 2, scheduler = QMAP)]
fn scx_qmap_schedules(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 2, scheduler = CENTRAL)]
fn scx_central_schedules(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 2, scheduler = FLATCG)]
fn scx_flatcg_schedules(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

/// A CPU goes and comes back, at each of which the kernel unregisters a scheduler that does not say what it does then. Its
/// program loads it again.
fn loses_a_cpu(ctx: &Ctx, after_s: u64) -> Result<AssertResult> {
    let step = |op| Step::new(HoldSpec::Fixed(Duration::from_secs(after_s))).ops([op]);
    let sleeper = WorkType::TimerPeriodic { period: Duration::from_millis(10), work: Duration::from_micros(100) };
    let before =
        Step::new(HoldSpec::Fixed(Duration::from_secs(1))).setup([CgroupDef::named("a").workers(1).work_type(sleeper)]);
    execute_steps(ctx, vec![before, step(Op::cpu_offline(1)), step(Op::cpu_online(1))])
}

#[ktstr_test(cores = 2, scheduler = SIMPLE, duration_s = 61)]
#[ignore = "a specimen: run by one_that_loads_itself_again_is_told"]
fn loses_a_cpu_for_long(ctx: &Ctx) -> Result<AssertResult> {
    loses_a_cpu(ctx, 30)
}

#[ktstr_test(cores = 2, scheduler = SIMPLE, duration_s = 3)]
#[ignore = "a specimen: run by one_that_is_away_for_much_of_the_test_is_no_pass"]
fn loses_a_cpu_for_a_moment(ctx: &Ctx) -> Result<AssertResult> {
    loses_a_cpu(ctx, 1)
}

fn restarts(outcome: &Outcome) -> &[Restart] {
    let [run] = outcome.record.guest.schedulers.as_slice() else { panic!("{:?}", outcome.record.guest.schedulers) };
    assert_eq!(run.exit.class, SchedulerClass::Clean, "{run:?}");
    &run.restarts
}

#[test]
fn one_that_loads_itself_again_is_told() {
    let outcome = Specimen::new("loses_a_cpu_for_long").run();
    outcome.expect("Pass", &[]);
    let [off, on] = restarts(&outcome) else { panic!("{:?}", restarts(&outcome)) };
    assert!(off.why.contains("cpu 1 going offline") && on.why.contains("cpu 1 going online"), "{off:?} {on:?}");
    let (again, last) = (off.enabled_ns.unwrap(), on.enabled_ns.unwrap());
    assert!(off.disabled_ns < again && again < on.disabled_ns && on.disabled_ns < last, "{off:?} {on:?}");
}

#[test]
fn one_that_is_away_for_much_of_the_test_is_no_pass() {
    let outcome = Specimen::new("loses_a_cpu_for_a_moment").run();
    let words = ["the process of the scheduler scx_simple went on", "(cpu 1 going offline"];
    outcome.expect("Inconclusive", &words);
    assert!(!restarts(&outcome).is_empty());
}

/// The watchdog of scx_qmap waits for 5 s.
#[ktstr_test(cores = 2, duration_s = 9.0, scheduler = QMAP, extra_sched_args = ["-t", "20"])]
#[ignore = "a specimen: run by a_stall_by_scx_qmap_is_told"]
fn stalls_a_user_thread(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_stall_by_scx_qmap_is_told() {
    let outcome = Specimen::new("stalls_a_user_thread").run();
    outcome.expect("Fail", &["scheduler_serves: ", "runnable task stall", "failed to run for "]);
}

#[ktstr_test(cores = 2, scheduler = QMAP, extra_sched_args = ["-e", "50"])]
#[ignore = "a specimen: run by an_error_by_scx_qmap_is_told"]
fn errs_by_itself(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn an_error_by_scx_qmap_is_told() {
    let outcome = Specimen::new("errs_by_itself").run();
    outcome.expect("Fail", &["scheduler_sound: ", "scx_bpf_error", "test triggering error"]);
}

#[ktstr_test(cores = 2, scheduler = QMAP, extra_sched_args = ["-x"])]
#[ignore = "a specimen: run by a_refused_option_is_told"]
fn has_a_wrong_option(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_refused_option_is_told() {
    let outcome = Specimen::new("has_a_wrong_option").run();
    outcome.expect("Fail", &["scheduler_loads: ", "invalid option -- 'x'"]);
}
