//! What goes wrong with a machine itself has the right verdict, and leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::Chosen;
use ktstr::prelude::*;
use std::fs;
use std::io::Write;
use support::Specimen;
use support::clean::{Clean, wait_until};
use support::patched::{self, RESET, SPIN, TRIPLE_FAULT};
use support::workers::two_workers;

/// What SysRq `c` calls.
const CRASH: &str = "sysrq_handle_crash";

/// A line on the console by which the host sees that the workers run.
const WORKERS_RUN: &str = "the workers run";

/// Waits for that line.
fn wait_for_workers(surroundings: &Clean) {
    wait_until(|| surroundings.console_so_far().contains(WORKERS_RUN), "the workers do not run");
}

/// Puts a line on the console. The kernel's own log gets there by a thread, which may have to wait for a CPU.
fn say(line: &str) -> Result<()> {
    Ok(writeln!(fs::File::options().write(true).open("/dev/ttyS0")?, "{line}")?)
}

#[ktstr_test(cores = 2, duration_s = 6)]
#[ignore = "a specimen: a good test of a machine to which something happens"]
fn good(ctx: &Ctx) -> Result<AssertResult> {
    let (_group, mut workload) = two_workers(ctx)?;
    workload.start();
    std::thread::sleep(Duration::from_millis(500));
    say(WORKERS_RUN)?;
    std::thread::sleep(ctx.duration());
    Ok(ctx.assert().check(workload.stop_and_collect()?))
}

#[test]
fn killed_qemu_is_inconclusive() {
    let outcome = Clean::new(Specimen::new("good")).env("KTSTR_ACCEL", "tcg").run(|surroundings, group| {
        wait_for_workers(surroundings);
        let qemu = processes_of(group).into_iter().find(|(_, name)| name.starts_with("qemu")).unwrap().0;
        // SAFETY: a signal to the emulator of our specimen.
        unsafe { libc::kill(qemu, libc::SIGKILL) };
    });
    let reasons = ["the machine broke: QEMU ended with signal: 9", "the guest ended while the test binary ran"];
    outcome.expect("Inconclusive", &reasons);
}

/// Process ids and names of a process group (proc_pid_stat(5)).
fn processes_of(group: i32) -> Vec<(i32, String)> {
    let stats =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let parsed = stats.filter_map(|stat| {
        let (pid, rest) = stat.split_once(" (")?;
        let (name, rest) = rest.rsplit_once(") ")?;
        let its_group = rest.split(' ').nth(2)?.parse::<i32>().ok()?;
        (its_group == group).then(|| (pid.parse().unwrap(), name.to_owned()))
    });
    parsed.collect()
}

#[test]
fn suspended_host_changes_no_verdict() {
    let outcome = Clean::new(Specimen::new("good")).run(|surroundings, group| {
        wait_for_workers(surroundings);
        // SAFETY: signals to the process group of our specimen.
        unsafe { libc::kill(-group, libc::SIGSTOP) };
        std::thread::sleep(Duration::from_secs(5));
        // SAFETY: as above.
        unsafe { libc::kill(-group, libc::SIGCONT) };
    });
    match outcome.record.accel {
        // The guest's clock went on, and what the guest missed is charged to the host.
        Some(Chosen::Kvm) => outcome.expect("Inconclusive", &["the host kept vCPU"]),
        _ => outcome.expect("Pass", &[]),
    }
}

/// More than a record keeps of a console.
const FLOOD_BYTES: usize = 5 << 20;

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by console_flood_hides_nothing"]
fn floods_console(_ctx: &Ctx) -> Result<AssertResult> {
    let mut console = fs::File::options().write(true).open("/dev/ttyS0")?;
    let line = format!("{}\n", "flood ".repeat(100));
    let half = line.repeat(FLOOD_BYTES / 2 / line.len());
    console.write_all(half.as_bytes())?;
    say("BUG: in the middle of a flood")?;
    console.write_all(half.as_bytes())?;
    Ok(AssertResult::default())
}

#[test]
fn console_flood_hides_nothing() {
    let outcome = Clean::new(Specimen::new("floods_console")).run(|_, _| {});
    outcome.expect("Fail", &["kernel BUG on the console", "BUG: in the middle of a flood"]);
    let (kept, log) = (&outcome.record.guest.console, &outcome.console_log);
    assert!(kept.contains(" bytes are left out here]") && kept.len() < FLOOD_BYTES, "{} bytes are kept", kept.len());
    assert!(log.matches("flood").count() > FLOOD_BYTES / 7, "the file of {} bytes is not whole", log.len());
}

#[ktstr_test(cores = 1, duration_s = 0.1)]
#[ignore = "a specimen: run with kernels that do something else than to crash"]
fn crashes_kernel(_ctx: &Ctx) -> Result<AssertResult> {
    fs::write("/proc/sysrq-trigger", "c")?;
    Ok(AssertResult::default())
}

fn with_patched(function: &str, code: &[u8]) -> support::Outcome {
    let surroundings = Clean::new(Specimen::new("crashes_kernel"));
    surroundings.kernel(|dir| patched::kernel(dir, function, code)).run(|_, _| {})
}

#[test]
fn vcpu_stuck_in_the_kernel_fails() {
    let outcome = with_patched(CRASH, SPIN);
    outcome.expect("Fail", &["scenario_ends: after 20 s the host still waited for the end of the test binary"]);
    outcome.expect("Fail", &["the kernel printed nothing for SysRq keys until an NMI made it panic"]);
    let dumps = &outcome.record.guest.dumps;
    assert!(dumps.contains("NMI: Not continuing") && dumps.contains("RIP: 0010:sysrq_handle_crash"), "{dumps}");
}

#[ktstr_test(cores = 2, duration_s = 0.1)]
#[ignore = "a specimen: run by guest_without_time_for_its_agent_fails"]
fn hogs_cpus(_ctx: &Ctx) -> Result<AssertResult> {
    // Nothing is left for others: neither by the limit for real-time tasks nor by the fair tasks' own server.
    fs::write("/proc/sys/kernel/sched_rt_runtime_us", "-1")?;
    for cpu in 0..2 {
        let _ = fs::write(format!("/sys/kernel/debug/sched/fair_server/cpu{cpu}/runtime"), "0");
        std::thread::spawn(move || hog(cpu));
    }
    hog(0)
}

/// Keeps a CPU from everything but interrupts.
fn hog(cpu: usize) -> ! {
    // SAFETY: plain data, and calls that look at it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
        libc::sched_setscheduler(0, libc::SCHED_FIFO, &libc::sched_param { sched_priority: 90 });
    }
    loop {
        std::hint::black_box(());
    }
}

#[test]
fn guest_without_time_for_its_agent_fails() {
    let outcome = Clean::new(Specimen::new("hogs_cpus")).run(|_, _| {});
    outcome.expect("Fail", &["scenario_ends: after 20 s the host still waited for the end of the test binary"]);
    // Where the kernel prints by a thread, that has no time either, and only a panic prints what SysRq keys brought.
    let dumps = &outcome.record.guest.dumps;
    assert!(dumps.contains("Show State") && dumps.contains("task:hogs_cpus"), "{dumps}");
}

#[test]
fn triple_fault_is_inconclusive() {
    let outcome = with_patched(CRASH, TRIPLE_FAULT);
    let how = match outcome.record.accel {
        Some(Chosen::Kvm) => "the guest died of a triple fault",
        // QEMU does not tell the two apart.
        _ => "the guest was reset instead of powered off",
    };
    outcome.expect("Inconclusive", &["the guest ended while the test binary ran", how]);
}

#[test]
fn guest_that_resets_at_once_ends_there() {
    let outcome = with_patched("start_kernel", RESET);
    outcome.expect("Inconclusive", &["the guest did not get as far as to say hello", "the guest was reset"]);
}
