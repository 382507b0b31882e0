//! A test that asks for it has a second look at a crash of its scheduler, and the record has what led there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{Repro, ReproOutcome, SchedulerClass, TracedEvent};
use support::{Outcome, Specimen};

/// Our own scheduler, which does wrong when it is told to.
const fn scx(name: &'static str, args: &'static [&'static str]) -> Scheduler {
    Scheduler::new(name).binary(SchedulerSpec::package("scx-ktstr")).sched_args(args).topology(1, 1, 2, 1)
}

const STALLS: Scheduler = scx("stalls", &["--watchdog-timeout-ms", "1500", "--fault", "stall-task"]);
const ERRS: Scheduler = scx("errs", &["--fault", "error-exit=50"]);
const SOUND: Scheduler = scx("sound", &[]);
const DAWDLES: Scheduler = scx("dawdles", &["--fault", "slow-dispatch-us=50000"]);

/// The specimen fails for a crash of this class, and does so again when it is traced.
fn check(specimen: &'static str, reason: &str, class: SchedulerClass, test: impl FnOnce(&Repro)) {
    let outcome = Specimen::new(specimen).run();
    outcome.expect("Fail", &[reason]);
    let repro = outcome.record.repro.as_deref().expect("there was no second run");
    assert_eq!(repro.crash.class, Some(class), "{repro:?}");
    let ReproOutcome::Again { crash, .. } = &repro.outcome else { panic!("{:?} {:?}", repro.outcome, repro.notes) };
    assert_eq!(crash.class, Some(class), "{crash:?}");
    assert!(repro.deterministic || outcome.record.accel != Some(ktstr::Chosen::Tcg), "{repro:?}");
    assert!(repro.end.as_ref().is_some_and(|end| end.stopped), "{:?} {:?}", repro.end, repro.notes);
    assert_eq!(repro.notes, Vec::<String>::new());
    let last = repro.events.last().expect("the trace is empty");
    assert!(["sched_ext_exit", "scx_vexit"].contains(&last.event.as_str()), "{last}");
    assert!(outcome.output.contains("  repro:  failed again "), "{}", outcome.output);
    assert!(outcome.record.host.repro_ms.is_some_and(|ms| ms > 0.0));
    test(repro);
}

fn events<'a>(repro: &'a Repro, name: &str) -> Vec<&'a TracedEvent> {
    repro.events.iter().filter(|event| event.event == name).collect()
}

#[ktstr_test(scheduler = STALLS, auto_repro = true)]
#[ignore = "a specimen: run by a_stall_is_traced_back_to_the_last_switch"]
fn stalls(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_stall_is_traced_back_to_the_last_switch() {
    check("stalls", "runnable task stall (", SchedulerClass::Stalled, |repro| {
        let task = repro.focus.task.as_ref().expect("the kernel named a task");
        let switch = repro.last_switch.as_ref().expect("the task left a CPU");
        assert!(switch.args.contains(&format!("prev_pid={} ", task.pid)), "{switch}");
        let end_ns = repro.events.last().unwrap().at_ns;
        assert!(end_ns - switch.at_ns > 1_400_000_000, "{switch} {end_ns}");
        assert!(repro.events.contains(switch) && !events(repro, "enqueue_task_scx").is_empty());
        // The last that the scheduler heard of the task is that it is to be put into a queue.
        let of_task: Vec<_> =
            repro.events.iter().filter(|event| event.args.contains(&format!(" pid={} ", task.pid))).collect();
        assert_eq!(repro.focus.dsq, Some(0x1001), "{:?}", repro.focus);
        let call = of_task.iter().rfind(|event| event.event.starts_with("bpf:")).expect("the scheduler was called");
        assert_eq!(call.event, "bpf:ktstr_enqueue", "{call}");
    });
}

#[ktstr_test(scheduler = ERRS, auto_repro = true)]
#[ignore = "a specimen: run by an_error_is_traced_to_where_it_is_made"]
fn errs(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn an_error_is_traced_to_where_it_is_made() {
    check("errs", "scx_bpf_error (", SchedulerClass::Error, |repro| {
        let errors = events(repro, "scx_bpf_error_bstr");
        let [error] = errors.as_slice() else { panic!("one call is expected: {errors:?}") };
        let caller =
            repro.events.iter().rfind(|event| event.event.starts_with("bpf:")).expect("the scheduler was called");
        assert_eq!((caller.event.as_str(), caller.cpu), ("bpf:ktstr_running", error.cpu), "{caller}");
        assert!(repro.focus.task.is_some(), "{:?}", repro.focus);
    });
}

fn has_no_second_run(outcome: &Outcome) {
    assert_eq!(outcome.record.repro, None);
    assert_eq!((outcome.record.host.repro_ms, &outcome.record.host.repro_console_log), (None, &None));
    assert!(!outcome.output.contains("repro:"), "{}", outcome.output);
}

#[ktstr_test(scheduler = SOUND, auto_repro = true, duration_s = 1)]
#[ignore = "a specimen: run by a_sound_scheduler_has_no_second_run"]
fn sound(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_sound_scheduler_has_no_second_run() {
    let outcome = Specimen::new("sound").run();
    outcome.expect("Pass", &[]);
    has_no_second_run(&outcome);
}

#[ktstr_test(scheduler = DAWDLES, auto_repro = true, max_gap_ms = 100)]
#[ignore = "a specimen: run by what_is_no_crash_has_no_second_run"]
fn dawdles(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("a").workers(4)])
}

#[test]
fn what_is_no_crash_has_no_second_run() {
    let outcome = Specimen::new("dawdles").run();
    outcome.expect("Fail", &["max_gap_ms: worker "]);
    has_no_second_run(&outcome);
}

#[ktstr_test(scheduler = STALLS, auto_repro = true, expect_err = "runnable task stall")]
#[ignore = "a specimen: run by an_expected_crash_has_no_second_run"]
fn expected(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn an_expected_crash_has_no_second_run() {
    let outcome = Specimen::new("expected").run();
    outcome.expect("Pass", &[]);
    has_no_second_run(&outcome);
}
