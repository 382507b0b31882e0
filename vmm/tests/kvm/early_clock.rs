//! A kernel whose CPUs share those of the host uses its clock before it starts them.

use crate::init::Init;
use crate::{Files, assert_no_vcpu_threads, one_at_a_time, run_to_end};
use ktstr_vmm::{ClockCode, Exit, KernelTimers, Snapshot, Vm};
use ktstr_wire::Topology;
use std::num::NonZeroU32;
use std::path::Path;

/// The symbols that the cache keeps beside a kernel.
fn clock_code(vmlinux: &Path) -> ClockCode {
    let symbols = std::fs::read_to_string(vmlinux.with_file_name("symbols")).unwrap();
    let address = |name: &str| {
        let line = symbols.lines().find(|line| line.split(' ').nth(2) == Some(name)).unwrap();
        u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
    };
    ClockCode { smp_init: address("smp_init"), clocksource_done_booting: address("clocksource_done_booting") }
}

/// Boots Linux, in a machine that goes on from what another was as it had begun to, if that is wanted; tells how often it
/// has chosen its clock by the time it starts the other CPUs, and in all.
fn choices(cpus: u32, is_forked: bool) -> (usize, usize) {
    let files = Files::new();
    let mut config = files.linux_config(Init::new().power_off(), Topology::new(1, cpus, 1));
    let clock = clock_code(&config.kernel);
    config.timers = Some(KernelTimers { hz: NonZeroU32::MIN, code: None, clock: Some(clock) });
    config.kargs = vec!["loglevel=7".to_owned()];
    let mut vm = Vm::new(&config).unwrap();
    if is_forked {
        let folder = files.path("snapshot");
        std::fs::create_dir(&folder).unwrap();
        vm.start().unwrap();
        assert!(vm.freeze().unwrap());
        let console = String::from_utf8_lossy(&vm.read_console().unwrap()).into_owned();
        assert!(!console.contains("Switched to clocksource"), "{console}");
        vm.save(&folder, "a boot").unwrap();
        vm = Vm::fork(&config, &Snapshot::open(&folder, "a boot").unwrap()).unwrap();
    }
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    assert!(console.contains(&format!("Brought up 1 node, {cpus} CPU")), "{console}");
    let count = |text: &str| text.matches("Switched to clocksource").count();
    let (before, _) = console.split_once("Bringing up secondary CPUs").unwrap();
    (count(before), count(&console))
}

#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn many_vcpus_get_their_clock_in_good_time() {
    let _one = one_at_a_time();
    let host_cpus = std::thread::available_parallelism().unwrap().get() as u32;
    assert_eq!(choices(host_cpus + 1, false), (1, 2));
    assert_eq!(choices(host_cpus + 1, true), (1, 2));
    // As many as the host has need no such thing.
    assert_eq!(choices(host_cpus, false), (0, 1));
    assert_no_vcpu_threads();
}
