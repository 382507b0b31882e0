//! System calls that several kinds of work make.

use std::io;
use std::ptr::{null, null_mut};
use std::sync::atomic::AtomicU32;

/// Memory of this process alone, zero at first, which is given back when the value goes.
pub(super) struct Memory {
    start: *mut u64,
    words: usize,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> io::Result<Self> {
        let words = usize::try_from(bytes.div_ceil(8)).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let bytes = words.checked_mul(8).ok_or(io::ErrorKind::OutOfMemory)?;
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(null_mut(), bytes, prot, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { start: start.cast(), words })
        }
    }

    pub(super) fn words(&mut self) -> &mut [u64] {
        // SAFETY: mapped with this length, zero-filled by the kernel, and borrowed from its only owner.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.words) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; no reference outlives `self`.
        unsafe { libc::munmap(self.start.cast(), self.words * 8) };
    }
}

/// Lets others go first (sched_yield(2)).
pub(super) fn yield_cpu() {
    // SAFETY: no arguments; it does not fail.
    unsafe { libc::sched_yield() };
}

/// Sleeps until `due_ns` of `CLOCK_MONOTONIC`, or until a signal comes.
pub(super) fn sleep_until(due_ns: u64) {
    let due = libc::timespec { tv_sec: (due_ns / 1_000_000_000) as i64, tv_nsec: (due_ns % 1_000_000_000) as i64 };
    // SAFETY: a live timespec; an absolute sleep leaves no rest to be written.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &due, null_mut()) };
}

/// Sleeps until somebody wakes the word, unless it is not `expected` (any more), or until a signal comes.
pub(super) fn futex_wait(word: &AtomicU32, expected: u32) {
    // SAFETY: a live word and no time-out.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, expected, null::<u8>()) };
}

/// Wakes up to `count` that sleep on the word.
pub(super) fn futex_wake(word: &AtomicU32, count: u32) {
    // SAFETY: a live word; the operation takes no other pointer.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}

/// The result of a system call that tells errors by -1.
pub(super) fn done(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
