//! What a scheduler does that none may is told apart, with the kernel's own words; one that does nothing wrong is not
//! complained of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr::{SchedulerClass, SchedulerRun};
use std::process::Command;
use support::{Outcome, Specimen};

/// Our own scheduler, which does wrong when it is told to.
const fn scx(name: &'static str, args: &'static [&'static str]) -> Scheduler {
    Scheduler::new(name).binary(SchedulerSpec::package("scx-ktstr")).sched_args(args).topology(1, 1, 2, 1)
}

const SOUND: Scheduler = scx("sound", &[]);
const STALLS_TASK: Scheduler = scx("stalls-task", &["--watchdog-timeout-ms", "1500", "--fault", "stall-task"]);
const STALLS_BASH: Scheduler = scx("stalls-bash", &["--fault", "stall-task", "--victim", "bash"]);
const STALLS_CPU: Scheduler = scx("stalls-cpu", &["--watchdog-timeout-ms", "1500", "--fault", "stall-cpu=1"]);
const DROPS: Scheduler = scx("drops", &["--watchdog-timeout-ms", "1500", "--fault", "drop-enqueue"]);
const MISPLACES: Scheduler = scx("misplaces", &["--fault", "wrong-dsq"]);
const ERRS: Scheduler = scx("errs", &["--fault", "error-exit=50"]);
const CRASHES: Scheduler = scx("crashes", &["--fault", "crash-after-dispatches=50"]);
const MISLEADS: Scheduler = scx("misleads", &["--fault", "ignore-affinity"]);
const DAWDLES: Scheduler = scx("dawdles", &["--fault", "slow-dispatch-us=200000"]);
const PREFERS: Scheduler = scx("prefers", &["--policy", "vtime", "--fault", "unfair-weights=10"]);
const REJECTED: Scheduler = scx("rejected", &["--fault", "verifier-reject"]);
const MISCALLED: Scheduler = scx("miscalled", &["--no-such-option"]);

/// The one run of a scheduler that the record has.
fn only_run(outcome: &Outcome) -> &SchedulerRun {
    let [run] = outcome.record.guest.schedulers.as_slice() else {
        panic!("one run is expected in {:?}", outcome.record.guest.schedulers)
    };
    run
}

/// The specimen fails for this and has the kernel's words for it.
fn check(specimen: &'static str, class: SchedulerClass, reasons: &[&str]) -> Outcome {
    let outcome = Specimen::new(specimen).run();
    outcome.expect("Fail", reasons);
    let run = only_run(&outcome);
    assert_eq!(run.exit.class, class, "{run:?}");
    assert!(outcome.record.scheduler.hash.is_some(), "{:?}", outcome.record.scheduler);
    outcome
}

#[ktstr_test(scheduler = SOUND, duration_s = 1, max_gap_ms = 500)]
fn a_sound_scheduler_passes(ctx: &Ctx) -> Result<AssertResult> {
    let pid = ctx.sched_pid().context("the scheduler has no process")?;
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
    ensure!(comm.trim() == "scx-ktstr", "process {pid} is {comm}");
    let state = std::fs::read_to_string("/sys/kernel/sched_ext/state")?;
    ensure!(state.trim() == "enabled", "sched_ext is {state}");
    scenarios::steady(ctx)
}

#[ktstr_test(scheduler = STALLS_TASK)]
#[ignore = "a specimen: run by a_stalled_task_is_the_watchdogs"]
fn stalls_task(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_stalled_task_is_the_watchdogs() {
    let words = [
        "scheduler_serves: the kernel disabled the scheduler stalls-task",
        "runnable task stall (",
        "failed to run for",
    ];
    let outcome = check("stalls_task", SchedulerClass::Stalled, &words);
    let exit = &only_run(&outcome).exit;
    assert_eq!((exit.kind, exit.reason.as_deref()), (Some(1026), Some("runnable task stall")));
    assert!(exit.dump.contains("CPU states"), "{exit:?}");
}

/// Workers that may run elsewhere need not come to that CPU.
#[ktstr_test(scheduler = STALLS_CPU)]
#[ignore = "a specimen: run by a_stalled_cpu_is_the_watchdogs"]
fn stalls_cpu(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("cg_0").with_cpuset(CpusetSpec::Exact("1".parse()?))])
}

#[test]
fn a_stalled_cpu_is_the_watchdogs() {
    check("stalls_cpu", SchedulerClass::Stalled, &["runnable task stall (", "stalls-cpu"]);
}

/// As many busy processes as CPUs come while the kernel is at disabling the scheduler. They are the kernel's own scheduler's
/// at once, before all that were there; where the kernel keeps no time for those, as before 7.0, rcu_preempt among them, the
/// kernel disables the scheduler when they end, and not before.
#[ktstr_test(scheduler = STALLS_BASH, watchdog_timeout_s = 1.5, duration_s = 1, programs = ["bash"], gauntlet = false)]
#[ignore = "a specimen: run by a_stall_is_told_however_long_disabling_takes"]
fn disabled_among_hogs(_ctx: &Ctx) -> Result<AssertResult> {
    let hog = || Command::new("bash").args(["-c", "while :; do :; done"]).spawn();
    let mut hogs = vec![hog()?];
    while std::fs::read_to_string("/sys/kernel/sched_ext/state")?.trim() == "enabled" {
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..2 {
        hogs.push(hog()?);
    }
    std::thread::sleep(Duration::from_secs(1));
    for hog in &mut hogs {
        hog.kill()?;
        hog.wait()?;
    }
    Ok(AssertResult::default())
}

#[test]
fn a_stall_is_told_however_long_disabling_takes() {
    let words = ["scheduler_serves: the kernel disabled the scheduler stalls-bash", "runnable task stall (bash["];
    let outcome = check("disabled_among_hogs", SchedulerClass::Stalled, &words);
    let verdict = outcome.record.verdict.to_string();
    let is_told = verdict.contains("and was killed, while the kernel was disabling the scheduler ktstr");
    assert_eq!(verdict.contains("body_ends: "), is_told, "{verdict}");
}

#[ktstr_test(scheduler = DROPS)]
#[ignore = "a specimen: run by a_dropped_task_is_the_watchdogs"]
fn drops(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_dropped_task_is_the_watchdogs() {
    check("drops", SchedulerClass::Stalled, &["runnable task stall (", "drops"]);
}

#[ktstr_test(scheduler = MISPLACES)]
#[ignore = "a specimen: run by a_wrong_queue_is_a_runtime_error"]
fn misplaces(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_wrong_queue_is_a_runtime_error() {
    check("misplaces", SchedulerClass::RuntimeError, &["scheduler_sound", "runtime error (", "DSQ"]);
}

#[ktstr_test(scheduler = ERRS)]
#[ignore = "a specimen: run by an_error_exit_has_the_schedulers_words"]
fn errs(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn an_error_exit_has_the_schedulers_words() {
    check("errs", SchedulerClass::Error, &["scheduler_sound", "scx_bpf_error (", "ktstr: fault_error_exit, at "]);
}

#[ktstr_test(scheduler = MISLEADS)]
#[ignore = "a specimen: run by an_ignored_affinity_is_a_runtime_error"]
fn misleads(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("pinned").workers(2).affinity(AffinityKind::SingleCpu)])
}

#[test]
fn an_ignored_affinity_is_a_runtime_error() {
    check("misleads", SchedulerClass::RuntimeError, &["scheduler_sound", "runtime error (", "not allowed for"]);
}

#[ktstr_test(scheduler = DAWDLES, max_gap_ms = 100)]
#[ignore = "a specimen: run by a_slow_dispatch_shows_in_the_workers"]
fn dawdles(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("a").workers(4)])
}

#[test]
fn a_slow_dispatch_shows_in_the_workers() {
    check("dawdles", SchedulerClass::Clean, &["max_gap_ms: worker "]);
}

#[ktstr_test(scheduler = PREFERS)]
#[ignore = "a specimen: run by unfairness_shows_in_the_workers"]
fn prefers(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("a").workers(4)])
}

#[test]
fn unfairness_shows_in_the_workers() {
    check("prefers", SchedulerClass::Clean, &["max_spread_pct: in cgroup a the CPU shares of workers differ by "]);
}

#[ktstr_test(scheduler = CRASHES)]
#[ignore = "a specimen: run by a_crash_is_told_by_its_signal"]
fn crashes(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn a_crash_is_told_by_its_signal() {
    check("crashes", SchedulerClass::Exited, &["scheduler_stays: the scheduler crashes was ended by signal 6"]);
}

#[ktstr_test(scheduler = REJECTED)]
#[ignore = "a specimen: run by a_rejection_has_the_verifiers_log"]
fn rejected(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("the test was started without its scheduler")
}

#[test]
fn a_rejection_has_the_verifiers_log() {
    let outcome =
        check("rejected", SchedulerClass::Rejected, &["scheduler_loads: the verifier rejected ", "processed "]);
    assert!(!outcome.record.verdict.to_string().contains("without its scheduler"));
}

#[ktstr_test(scheduler = MISCALLED)]
#[ignore = "a specimen: run by wrong_arguments_are_told"]
fn miscalled(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("the test was started without its scheduler")
}

#[test]
fn wrong_arguments_are_told() {
    let words = ["scheduler_loads: the scheduler miscalled exited with 2 before it was enabled", "no-such-option"];
    check("miscalled", SchedulerClass::Exited, &words);
}

#[ktstr_test(scheduler = STALLS_TASK, gauntlet = false, expect_err = "runnable task stall")]
fn a_stall_can_be_expected(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}
