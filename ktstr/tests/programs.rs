//! Programs of the host run in the guest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use support::Specimen;

#[ktstr_test(programs = ["a-program-that-nobody-has"])]
#[ignore = "a specimen: run by missing_program_is_inconclusive"]
fn lacks_a_program(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("there should be no machine")
}

#[test]
fn missing_program_is_inconclusive() {
    let outcome = Specimen::new("lacks_a_program").env("PATH", "/absent:/usr/bin").run();
    let places = "/absent/a-program-that-nobody-has, /usr/bin/a-program-that-nobody-has";
    outcome.expect("Inconclusive", &["no program \"a-program-that-nobody-has\"", places, "install it"]);
}

/// Messages between four tasks, for as long as that takes, beside a worker of our own; real programs of Debian's.
#[ktstr_test(cores = 2, gauntlet = false, programs = ["hackbench"])]
fn hackbench_tells_its_time(ctx: &Ctx) -> Result<AssertResult> {
    let program = Program::new("hackbench").args(["-g", "1", "-f", "2", "-l", "50", "-s", "100"]);
    let work = Work::new(WorkType::Program(program.metric("hackbench_s", r"Time: ([0-9.]+)"))).workers(1).nice(5);
    let result = execute_defs(ctx, vec![CgroupDef::named("cg_0").workers(1).work(work)])?;
    let report = result.reports.iter().find_map(|report| report.program.as_ref()).context("no program")?;
    ensure!(result.metrics.len() == 1 && result.metrics["hackbench_s"] > 0.0, "{:?}", result.metrics);
    ensure!(!report.stopped && report.stdout.contains("Running in process mode with 1 groups"), "{report:?}");
    Ok(result)
}

#[ktstr_test(cores = 2, duration_s = 1, programs = ["hackbench", "sleep"])]
#[ignore = "a specimen: run by failing_program_fails"]
fn fails_in_programs(ctx: &Ctx) -> Result<AssertResult> {
    let work = |program: Program| Work::new(WorkType::Program(program)).workers(1);
    let wrong = Program::new("hackbench").arg("--no-such-option");
    let stopped = Program::new("sleep").arg("1000").metric("slept_s", "slept ([0-9]+) s");
    let def = CgroupDef::named("cg_0").work(work(wrong)).work(work(stopped));
    execute_defs(ctx, vec![def])
}

#[test]
fn failing_program_fails() {
    let outcome = Specimen::new("fails_in_programs").run();
    outcome.expect("Fail", &["of cgroup cg_0, `hackbench --no-such-option` exited with", "it printed: "]);
    let result = outcome.record.guest.result.as_ref().unwrap();
    assert_eq!(result.findings.len(), 1, "{:?}", result.findings);
    assert!(result.inconclusive[0].contains("slept_s: nothing in its output matches"), "{:?}", result.inconclusive);
    let stopped = result.reports[1].program.as_ref().unwrap();
    assert!(stopped.stopped && stopped.argv == ["sleep", "1000"] && result.reports[1].stopped_in_time);
}

#[ktstr_test(cores = 2, programs = ["sleep"])]
#[ignore = "a specimen: run by program_that_was_not_packed_is_named"]
fn runs_what_was_not_packed(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("cg_0").work_type(WorkType::Program(Program::new("hackbench")))])
}

#[test]
fn program_that_was_not_packed_is_named() {
    let outcome = Specimen::new("runs_what_was_not_packed").run();
    outcome.expect("Fail", &["no program \"hackbench\" here", "/ktstr/bin/hackbench", "`programs = [\"hackbench\"]`"]);
}
