//! Under emulation vCPUs share one thread of the host: none may stand still for long because another computes.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::prelude::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;
use support::Specimen;

/// A computing vCPU keeps the thread for half a millisecond at a time, and there is one. The rest is for what else the kernel
/// runs on the CPU that is looked at, a slice of a few milliseconds or two. Without fair turns it is more than 70 ms.
const MOST: Duration = Duration::from_millis(20);

/// How long is looked, in guest time.
const LOOK: Duration = Duration::from_secs(2);

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by a_computing_vcpu_holds_up_no_other"]
fn looks_beside_a_spinner(_ctx: &Ctx) -> Result<AssertResult> {
    let done = AtomicBool::new(false);
    let standstill = std::thread::scope(|scope| {
        // A new thread stays where the one stays that makes it.
        pin(0)?;
        scope.spawn(|| {
            while !done.load(Relaxed) {
                (0..10_000).for_each(|number| _ = black_box(number));
            }
        });
        let looked = pin(1).map(|()| longest_standstill());
        done.store(true, Relaxed);
        looked
    })?;
    println!("longest standstill: {standstill:?}");
    ensure!(standstill < MOST, "the clock of a vCPU beside a computing one stood still for {standstill:?}");
    Ok(AssertResult::default())
}

#[test]
fn a_computing_vcpu_holds_up_no_other() {
    for seed in ["1", "3"] {
        let specimen = Specimen::new("looks_beside_a_spinner").env("KTSTR_ACCEL", "tcg").env("KTSTR_SEED", seed);
        specimen.run().expect("Pass", &[]);
    }
}

/// The longest time between two readings of the clock, one right after the other.
fn longest_standstill() -> Duration {
    let began = Instant::now();
    let (mut last, mut longest) = (began, Duration::ZERO);
    while last - began < LOOK {
        let now = Instant::now();
        longest = longest.max(now - last);
        last = now;
    }
    longest
}

/// Keeps the calling thread on one CPU.
fn pin(cpu: usize) -> Result<()> {
    // SAFETY: a set of CPUs is plain bits, and the kernel reads as many of them as it is told there are.
    let failed = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    ensure!(failed == 0, "cannot stay on CPU {cpu}: {}", std::io::Error::last_os_error());
    Ok(())
}
