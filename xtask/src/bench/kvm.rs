//! In the lab: our monitor against QEMU on the same KVM, with the same guest.

use super::bare::Boot;
use super::guest;
use super::row::{Budget, Row};
use super::steady::{Bed, STEADY, TWO_CGROUPS};
use super::tcg::split;
use super::trace::Trace;
use anyhow::{Result, ensure};
use ktstr::{Machine, Topology};
use ktstr_cache::Cache;
use ktstr_vmm::qemu::Qemu;
use ktstr_vmm::{Chosen, Pace, Vm, VmConfig};
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::time::{Duration, Instant};

/// The names of the threads that run vCPUs.
const OUR_THREADS: &str = "vcpu*";
const QEMU_THREADS: &str = "qemu*";

/// A guest that takes longer will not come up.
const BOOT_LIMIT: Duration = Duration::from_secs(180);

/// The machine types that QEMU's KVM is measured with.
const MACHINES: [&str; 2] = ["pc", "microvm"];

/// The budgets: our monitor is ahead of QEMU; a whole test, in seconds.
const AHEAD: Budget = Budget::Ratio(1.0);
const WHOLE_TEST: Budget = Budget::Value(7.0);

/// One side's times in milliseconds, a value a round.
#[derive(Default)]
struct Times {
    to_first_run: Vec<f64>,
    to_first_process: Vec<f64>,
}

/// Measures, inside the lab.
///
/// # Errors
/// When a machine does not run, or the kernel does not trace.
pub(super) fn measure(bed: &Bed, rounds: u32) -> Result<Vec<Row>> {
    let trace = Trace::new()?;
    let initramfs = guest::initramfs(&Cache::open_default()?)?;
    let config = config(bed, &initramfs);
    let qemu = Qemu::find()?.program;
    bed.run(STEADY, "kvm")?;
    let (mut ours, mut theirs) = (Times::default(), [Times::default(), Times::default()]);
    let (mut whole_s, mut records) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        eprintln!("bench: round {round} of {rounds} in the lab");
        // Not watched: the trace costs something at each exit.
        trace.rest()?;
        let (measured, record) = bed.run(TWO_CGROUPS, "kvm")?;
        whole_s.push(measured.wall_s);
        records.push(record);
        trace.watch(OUR_THREADS)?;
        let began_s = now_s();
        bed.run(TWO_CGROUPS, "kvm")?;
        ours.to_first_run.push((trace.first_run_s()? - began_s) * 1e3);
        ours.to_first_process.push(boot_ours(&trace, &config)?);
        for (machine, times) in MACHINES.iter().zip(&mut theirs) {
            let (first_run, first_process) = boot_qemu(&trace, &qemu, machine, &config)?;
            times.to_first_run.push(first_run);
            times.to_first_process.push(first_process);
        }
    }
    let mut rows = vec![Row::new("kvm: two cgroups, from start to verdict", "s", &whole_s).within(WHOLE_TEST)];
    for (machine, times) in MACHINES.iter().zip(&theirs) {
        let name = format!("QEMU {machine}");
        let row = |what: &str, ours: &[f64], theirs: &[f64]| Row::new(what, "ms", ours).against(&name, theirs);
        let start = row("kvm: process start to first KVM_RUN", &ours.to_first_run, &times.to_first_run);
        let boot = row("kvm: first KVM_RUN to first process", &ours.to_first_process, &times.to_first_process);
        rows.extend([start.within(AHEAD), boot.within(AHEAD)]);
    }
    rows.extend(split("kvm", &records));
    Ok(rows)
}

pub(super) fn config(bed: &Bed, initramfs: &Path) -> VmConfig {
    VmConfig {
        kernel: bed.kernel.vmlinux(),
        initramfs: initramfs.to_owned(),
        machine: Machine::new(Topology::new(1, 2, 1), 544 << 20),
        reserved_bytes: 64 << 20,
        timers: ktstr::kernel_timers(&bed.kernel),
        kargs: Vec::new(),
        seed: 1,
        accel: Chosen::Kvm,
        placement: None,
        pace: Pace::default(),
    }
}

/// Boots the guest on our monitor; milliseconds from its first instruction to its first process.
fn boot_ours(trace: &Trace, config: &VmConfig) -> Result<f64> {
    trace.watch(OUR_THREADS)?;
    let mut vm = Vm::new(config)?;
    vm.start()?;
    let began = Instant::now();
    while vm.exit().is_none() {
        let console = vm.read_console()?;
        ensure!(began.elapsed() < BOOT_LIMIT, "no end of our guest; it said {}", String::from_utf8_lossy(&console));
        std::thread::sleep(Duration::from_millis(10));
    }
    vm.stop()?;
    Ok((trace.mark_s()? - trace.first_run_s()?) * 1e3)
}

/// Boots the guest on QEMU; milliseconds from the process's start to the guest's first instruction, and from there to
/// its first process.
fn boot_qemu(trace: &Trace, qemu: &Path, machine: &str, config: &VmConfig) -> Result<(f64, f64)> {
    trace.watch(QEMU_THREADS)?;
    let began_s = now_s();
    Boot::of(config)?.run(qemu, &format!("-M {machine} -accel kvm -cpu host"))?;
    let first_run_s = trace.first_run_s()?;
    Ok(((first_run_s - began_s) * 1e3, (trace.mark_s()? - first_run_s) * 1e3))
}

/// The clock of the trace.
fn now_s() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
