//! Priority inversion: what a task of high priority waits for is held by one of low priority, which one of medium
//! priority keeps from running. The futex inherits priorities (FUTEX_LOCK_PI in futex(2)), so that the wait has an end.

use super::pin::{Mask, allowed, set};
use super::system::{done, sleep_until};
use crate::meter::Meter;
use crate::shared::Word;
use crate::team::Team;
use std::io;
use std::ptr::null;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Low, medium and high.
pub(super) const TEAM: usize = 3;
/// Units of work that the worker of low priority does with the lock.
const LOW_UNITS: u64 = 2;
/// Units of work that the worker of medium priority does at a time.
const MEDIUM_UNITS: u64 = 8;
/// Each of these sleeps twice as long as it computed: real-time tasks that leave nothing to others are kept from running
/// for some time in each second (Documentation/scheduler/sched-rt-group.rst).
const SLEEPS: u64 = 2;
const HIGH_PERIOD_NS: u64 = 5_000_000;

pub(super) fn inversion(meter: &mut Meter<'_>, team: &Team<'_>) -> io::Result<()> {
    let (number, role) = (team.index / TEAM, team.index % TEAM);
    // They get into each other's way on one CPU only.
    share_a_cpu(number)?;
    be_real_time(role as i32 + 1)?;
    let lock = PiLock { word: team.word(number) };
    match role {
        0 => low(meter, &lock),
        1 => medium(meter),
        _ => high(meter, &lock),
    }
}

fn low(meter: &mut Meter<'_>, lock: &PiLock<'_>) -> io::Result<()> {
    while meter.goes_on() {
        meter.wait(|| lock.take())?;
        let began_ns = meter.last_ns();
        (0..LOW_UNITS).for_each(|_| meter.unit());
        lock.give()?;
        rest(meter, began_ns);
    }
    Ok(())
}

fn medium(meter: &mut Meter<'_>) -> io::Result<()> {
    while meter.goes_on() {
        let began_ns = meter.last_ns();
        (0..MEDIUM_UNITS).for_each(|_| meter.unit());
        rest(meter, began_ns);
    }
    Ok(())
}

fn rest(meter: &mut Meter<'_>, began_ns: u64) {
    meter.iteration();
    let due_ns = meter.last_ns() + SLEEPS * (meter.last_ns() - began_ns);
    meter.wait_until(due_ns, || sleep_until(due_ns));
}

/// Its wake latencies are its waits for the lock.
fn high(meter: &mut Meter<'_>, lock: &PiLock<'_>) -> io::Result<()> {
    while meter.goes_on() {
        let due_ns = meter.last_ns() + HIGH_PERIOD_NS;
        meter.wait(|| sleep_until(due_ns));
        let asked_ns = meter.last_ns();
        meter.wait_until(asked_ns, || lock.take())?;
        meter.unit();
        lock.give()?;
        meter.iteration();
    }
    Ok(())
}

/// A lock whose word is 0, or its holder's thread id and what the kernel adds to it. A wait for it ends when its holder
/// gives it back, which each does before it ends; no signal ends it before.
struct PiLock<'a> {
    word: &'a Word,
}

impl PiLock<'_> {
    fn take(&self) -> io::Result<()> {
        match self.word.futex.compare_exchange(0, own_id(), Acquire, Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => self.call(libc::FUTEX_LOCK_PI),
        }
    }

    fn give(&self) -> io::Result<()> {
        match self.word.futex.compare_exchange(own_id(), 0, Release, Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => self.call(libc::FUTEX_UNLOCK_PI),
        }
    }

    fn call(&self, operation: i32) -> io::Result<()> {
        // SAFETY: a live word and no time-out.
        let result = unsafe { libc::syscall(libc::SYS_futex, self.word.futex.as_ptr(), operation, 0, null::<u8>()) };
        done(result).map(drop)
    }
}

fn own_id() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() as u32 }
}

fn share_a_cpu(number: usize) -> io::Result<()> {
    let all = allowed()?;
    let has = |cpu: &usize| all[cpu / 8] >> (cpu % 8) & 1 != 0;
    let mut cpus = (0..all.len() * 8).filter(has).cycle();
    let cpu = cpus.nth(number).unwrap_or(0);
    let mut one: Mask = [0; _];
    one[cpu / 8] = 1 << (cpu % 8);
    set(&one).map(drop)
}

fn be_real_time(priority: i32) -> io::Result<()> {
    let param = libc::sched_param { sched_priority: priority };
    // SAFETY: a live structure.
    done(unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const param) }).map(drop)
}
