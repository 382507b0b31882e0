//! The schedulers of the kernel's own tools/sched_ext, as its source has them: they schedule, and what scx_qmap does wrong
//! when it is asked to is told for what it is.
//!
//! `cargo xtask kernel schedulers --into target/ktstr/sched_ext` builds them, `cargo xtask ci` does before it runs this.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use support::Specimen;

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
