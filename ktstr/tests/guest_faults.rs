//! What goes wrong inside the guest has the right verdict, and is never a pass.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::GuestPart;
use ktstr::prelude::*;
use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use support::Specimen;
use support::workers::two_workers;

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by panicking_body_fails"]
fn panics(_ctx: &Ctx) -> Result<AssertResult> {
    panic!("as it is made to")
}

#[test]
fn panicking_body_fails() {
    Specimen::new("panics").run().expect("Fail", &["the body panicked: as it is made to"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by body_with_an_error_fails"]
fn errs(_ctx: &Ctx) -> Result<AssertResult> {
    fs::read("/absent").context("looking for what is not there")?;
    Ok(AssertResult::default())
}

#[test]
fn body_with_an_error_fails() {
    Specimen::new("errs").run().expect("Fail", &["looking for what is not there: No such file"]);
}

#[ktstr_test(cores = 2, duration_s = 0.5)]
#[ignore = "a specimen: run by endless_body_fails"]
fn loops(_ctx: &Ctx) -> Result<AssertResult> {
    loop {
        std::hint::black_box(());
    }
}

#[test]
fn endless_body_fails() {
    let outcome = Specimen::new("loops").run();
    outcome.expect("Fail", &["body_ends: the test binary still ran after 10.5 s and was killed"]);
    let GuestPart { dumps, console, .. } = &outcome.record.guest;
    // Each CPU, every task, and sched_ext or, on a kernel without it, the list of keys.
    for header in ["Show backtrace of all active CPUs", "Show Blocked State", "Show State", "ched_ext"] {
        assert!(dumps.contains(header), "no {header:?} in {dumps}");
        assert!(!console.contains(header), "{header:?} in {console}");
    }
    assert!(dumps.contains("task:loops"), "the thread of the test is not in {dumps}");
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by silent_exit_is_inconclusive"]
fn exits(_ctx: &Ctx) -> Result<AssertResult> {
    std::process::exit(0)
}

#[test]
fn silent_exit_is_inconclusive() {
    Specimen::new("exits").run().expect("Inconclusive", &["the test binary exited with 0 and reported no outcome"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by crashing_body_fails"]
fn crashes(_ctx: &Ctx) -> Result<AssertResult> {
    std::process::abort()
}

#[test]
fn crashing_body_fails() {
    Specimen::new("crashes").run().expect("Fail", &["signal 6 ended the test binary"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by killed_agent_fails"]
fn kills_agent(_ctx: &Ctx) -> Result<AssertResult> {
    let (start, code) = agent_code()?;
    write_agent(start, &vec![BREAKPOINT; code.len()])?;
    Ok(AssertResult::default())
}

#[test]
fn killed_agent_fails() {
    Specimen::new("kills_agent").run().expect("Fail", &["kernel panic on the console", "Attempted to kill init"]);
}

/// PID 1 takes no signal that it does not handle, but root may write its code.
fn write_agent(at: u64, bytes: &[u8]) -> Result<()> {
    // Newer kernels let only a tracer write what is mapped read-only (proc_mem.force_override).
    // SAFETY: no pointers; becoming the tracer does not stop the agent.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, 1, 0, 0) };
    ensure!(seized == 0, "cannot trace the agent: {}", std::io::Error::last_os_error());
    Ok(fs::File::options().write(true).open("/proc/1/mem")?.write_all_at(bytes, at)?)
}

/// Where the agent's code is, and the code.
fn agent_code() -> Result<(u64, Vec<u8>)> {
    let maps = fs::read_to_string("/proc/1/maps")?;
    let text = maps
        .lines()
        .find(|line| line.contains(" r-xp ") && line.ends_with("/init"))
        .context("the agent has no code")?;
    let (start, end) = text.split_once(' ').and_then(|(range, _)| range.split_once('-')).context("odd maps")?;
    let (start, end) = (u64::from_str_radix(start, 16)?, u64::from_str_radix(end, 16)?);
    let mut code = vec![0; (end - start) as usize];
    fs::File::open("/proc/1/mem")?.read_exact_at(&mut code, start)?;
    Ok((start, code))
}

/// `int3`.
const BREAKPOINT: u8 = 0xcc;

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by kernel_panic_at_shutdown_fails"]
fn panics_at_shutdown(_ctx: &Ctx) -> Result<AssertResult> {
    // The agent's last act is reboot(2): behind the instruction that loads its second argument, a breakpoint ends PID 1.
    let (start, code) = agent_code()?;
    let magic = (libc::LINUX_REBOOT_MAGIC2 as u32).to_le_bytes();
    let places: Vec<usize> = (4..code.len()).filter(|&at| code[at - 4..].starts_with(&magic)).collect();
    ensure!(!places.is_empty(), "the agent never powers off");
    let mut patched = code;
    places.into_iter().for_each(|at| patched[at] = BREAKPOINT);
    write_agent(start, &patched)?;
    Ok(AssertResult::default())
}

#[test]
fn kernel_panic_at_shutdown_fails() {
    let outcome = Specimen::new("panics_at_shutdown").run();
    assert!(outcome.record.guest.result.is_some(), "the body should have had its result by then");
    outcome.expect("Fail", &["kernel panic on the console", "Attempted to kill init"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by kernel_panic_in_the_test_fails"]
fn panics_kernel(_ctx: &Ctx) -> Result<AssertResult> {
    fs::write("/proc/sysrq-trigger", "c")?;
    Ok(AssertResult::default())
}

#[test]
fn kernel_panic_in_the_test_fails() {
    Specimen::new("panics_kernel").run().expect("Fail", &["kernel panic on the console", "sysrq"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by early_power_off_is_inconclusive"]
fn powers_off(_ctx: &Ctx) -> Result<AssertResult> {
    // SAFETY: ends the guest, as it is meant to.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    Ok(AssertResult::default())
}

#[test]
fn early_power_off_is_inconclusive() {
    Specimen::new("powers_off").run().expect("Inconclusive", &["the guest ended while the test binary ran"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by garbage_on_com2_is_inconclusive"]
fn garbles_control(_ctx: &Ctx) -> Result<AssertResult> {
    let mut port = fs::File::options().write(true).open("/dev/ttyS1")?;
    port.write_all(&[0xf5, b'K', b'T', 0xf6, 3, 0, 0, 0, 1, 2, 3, 4, b'b', b'a', b'd'])?;
    Ok(AssertResult::default())
}

#[test]
fn garbage_on_com2_is_inconclusive() {
    Specimen::new("garbles_control").run().expect("Inconclusive", &["bytes on COM2 belong to no message"]);
}

#[ktstr_test(cores = 2, duration_s = 5)]
#[ignore = "a specimen: run by stopped_worker_fails"]
fn stops_a_worker(ctx: &Ctx) -> Result<AssertResult> {
    let (_group, mut workload) = two_workers(ctx)?;
    workload.start();
    std::thread::sleep(Duration::from_millis(500));
    let pid = workload.pids()[0];
    // SAFETY: signals to a worker of this test.
    unsafe { libc::kill(pid, libc::SIGSTOP) };
    std::thread::sleep(Duration::from_secs(4));
    // SAFETY: as above.
    unsafe { libc::kill(pid, libc::SIGCONT) };
    std::thread::sleep(Duration::from_millis(500));
    println!("stopped {pid}");
    Ok(ctx.assert().check(workload.stop_and_collect()?))
}

#[test]
fn stopped_worker_fails() {
    let outcome = Specimen::new("stops_a_worker").run();
    let output = &outcome.record.guest.output;
    let pid = output.split("stopped ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    let expected = format!("(pid {pid}) of cgroup cg_0 did not run for 4.");
    outcome.expect("Fail", &["max_gap_ms", &expected]);
}

#[ktstr_test(cores = 2, duration_s = 2)]
#[ignore = "a specimen: run by worker_that_never_ran_fails"]
fn starves_a_worker(ctx: &Ctx) -> Result<AssertResult> {
    let (_group, mut workload) = two_workers(ctx)?;
    // SAFETY: a signal to a worker of this test, before it gets to run.
    unsafe { libc::kill(workload.pids()[1], libc::SIGSTOP) };
    workload.start();
    std::thread::sleep(ctx.duration());
    Ok(ctx.assert().check(workload.stop_and_collect()?))
}

#[test]
fn worker_that_never_ran_fails() {
    Specimen::new("starves_a_worker")
        .run()
        .expect("Fail", &["not_starved: worker 1", "did no work", "max_gap_ms: worker 1"]);
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by worker_that_died_fails"]
fn loses_a_worker(ctx: &Ctx) -> Result<AssertResult> {
    let (_group, mut workload) = two_workers(ctx)?;
    workload.start();
    // SAFETY: a signal to a worker of this test.
    unsafe { libc::kill(workload.pids()[0], libc::SIGKILL) };
    std::thread::sleep(Duration::from_millis(100));
    Ok(ctx.assert().check(workload.stop_and_collect()?))
}

#[test]
fn worker_that_died_fails() {
    Specimen::new("loses_a_worker").run().expect("Fail", &["of cgroup cg_0 ended before it was told to"]);
}
