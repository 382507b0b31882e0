//! A kernel whose CPUs share those of the host is told to use its clock at once.

use crate::{Files, assert_no_vcpu_threads, bare, one_at_a_time, run_to_end};
use ktstr_vmm::{Exit, KernelTimers, TimerCode, Vm};
use ktstr_wire::Topology;
use std::num::NonZeroU32;

/// Where a kernel's image is mapped.
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

fn check(cpus: u32, finished_booting: u64, expected: &Exit) {
    let files = Files::new();
    let kernel = files.path("kernel");
    bare::write_kernel(&kernel, bare::IS_WRITTEN_TO);
    let mut config = files.config(&kernel, Topology::new(1, cpus, 1));
    let code = TimerCode { tsc_init: bare::LOAD_GPA + bare::PLACE, lapic_timer_period: 0, finished_booting };
    config.timers = Some(KernelTimers { hz: NonZeroU32::MIN, code: Some(code) });
    let (exit, _) = run_to_end(&mut Vm::new(&config).unwrap());
    assert_eq!(exit, *expected, "{cpus} CPUs, the variable at {finished_booting:#x}");
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn many_vcpus_get_their_clock_at_once() {
    let _one = one_at_a_time();
    let host_cpus = std::thread::available_parallelism().unwrap().get() as u32;
    let variable = KERNEL_MAP + bare::LOAD_GPA + bare::NUMBER;
    check(host_cpus + 1, variable, &Exit::PowerOff);
    // As many as the host has need no such thing, and a variable elsewhere is left alone.
    check(1, variable, &Exit::Reset);
    check(host_cpus + 1, bare::LOAD_GPA + bare::NUMBER, &Exit::Reset);
    assert_no_vcpu_threads();
}
