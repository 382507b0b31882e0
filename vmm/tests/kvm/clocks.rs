//! The clocks of vCPUs tell what the host let them have.

use crate::{Files, PATIENCE, bare, one_at_a_time};
use ktstr_vmm::{VcpuClock, Vm};
use std::time::{Duration, Instant};

fn wait_for(vm: &Vm, what: &str, mut done: impl FnMut(&[VcpuClock]) -> bool) {
    let begin = Instant::now();
    while !done(&vm.vcpu_clocks()) {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come: {:?}", vm.vcpu_clocks());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_halted_vcpu_neither_runs_nor_waits() {
    let _one = one_at_a_time();
    let files = Files::new();
    let mut vm = files.bare(bare::HALT, 2);
    vm.start().unwrap();
    wait_for(&vm, "the first instruction", |clocks| clocks[0].run_ns > 0);
    let mut before = vm.vcpu_clocks();
    // Between two looks nothing has changed, which in a vCPU that spins would never be.
    wait_for(&vm, "rest", |clocks| std::mem::replace(&mut before, clocks.to_vec()) == clocks);
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn a_vcpu_that_must_share_its_host_cpu_waits() {
    const ENOUGH_NS: u64 = 50_000_000;
    let _one = one_at_a_time();
    // On a thread of its own, for what it starts inherits where it may run.
    let shared = std::thread::spawn(|| {
        // SAFETY: all-zero is an empty set; only this thread and what it starts are changed.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
        }
        let files = Files::new();
        let (mut one, mut other) = (files.bare(bare::SPIN, 1), files.bare(bare::SPIN, 1));
        one.start().unwrap();
        other.start().unwrap();
        for vm in [&one, &other] {
            let ran_and_waited = |clocks: &[VcpuClock]| clocks[0].run_ns > ENOUGH_NS && clocks[0].wait_ns > ENOUGH_NS;
            wait_for(vm, "a turn of each", ran_and_waited);
        }
    });
    shared.join().unwrap();
}
