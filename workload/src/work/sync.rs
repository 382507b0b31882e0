//! Mutexes, conditions and barriers in words of shared memory. Whoever is told to stop comes back from each of them.

use super::system::{futex_wait, futex_wake};
use crate::clock::monotonic_ns;
use crate::meter::Meter;
use crate::shared::Word;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// States of a mutex (Drepper, "Futexes are tricky", 2011).
const FREE: u32 = 0;
const HELD: u32 = 1;
const WAITED_FOR: u32 = 2;

pub(super) fn lock(meter: &mut Meter<'_>, mutex: &Word) {
    let word = &mutex.futex;
    if word.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok() {
        return;
    }
    while meter.goes_on() && word.swap(WAITED_FOR, Acquire) != FREE {
        meter.wait(|| futex_wait(word, WAITED_FOR));
        woken(meter, mutex);
    }
}

pub(super) fn unlock(mutex: &Word) {
    mutex.value.store(monotonic_ns(), Release);
    if mutex.futex.swap(FREE, Release) == WAITED_FOR {
        futex_wake(&mutex.futex, 1);
    }
}

/// Waits for the condition without the mutex (pthread_cond_wait(3)).
pub(super) fn wait_with(meter: &mut Meter<'_>, condition: &Word, mutex: &Word) {
    let seen = condition.futex.load(Acquire);
    unlock(mutex);
    wait_until_not(meter, condition, seen);
    lock(meter, mutex);
}

/// Wakes one that waits, if there is one.
pub(super) fn signal(condition: &Word) {
    wake(condition, 1);
}

/// Wakes all that wait.
pub(super) fn broadcast(condition: &Word) {
    wake(condition, i32::MAX as u32);
}

/// Waits until `users` have arrived here.
pub(super) fn arrive(meter: &mut Meter<'_>, barrier: &Word, users: u64) {
    let seen = barrier.futex.load(Acquire);
    // A barrier's value counts arrivals.
    if (barrier.value.fetch_add(1, AcqRel) + 1).is_multiple_of(users) {
        barrier.futex.fetch_add(1, AcqRel);
        futex_wake(&barrier.futex, i32::MAX as u32);
        return;
    }
    while meter.goes_on() && barrier.futex.load(Acquire) == seen {
        meter.wait(|| futex_wait(&barrier.futex, seen));
    }
}

fn wake(condition: &Word, count: u32) {
    condition.value.store(monotonic_ns(), Release);
    condition.futex.fetch_add(1, AcqRel);
    futex_wake(&condition.futex, count);
}

fn wait_until_not(meter: &mut Meter<'_>, condition: &Word, seen: u32) {
    meter.wait(|| futex_wait(&condition.futex, seen));
    if condition.futex.load(Acquire) != seen {
        woken(meter, condition);
    }
}

/// It was woken by whoever left a time stamp here last.
fn woken(meter: &mut Meter<'_>, word: &Word) {
    let woken_ns = word.value.load(Acquire);
    if woken_ns > 0 {
        meter.woke(meter.last_ns().saturating_sub(woken_ns));
    }
}
