//! The emulation thread waits for the harness.

use super::api;
use super::layout::Counts;
use super::looks::Looks;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// How long the harness's count is looked at before this thread sleeps: longer than it takes to wake the harness.
const LOOK_NS: u64 = 100_000;

static LOOKS: Looks = Looks::new();

/// Waits until the harness is through with that many hits.
pub(crate) fn wait(shared: &Counts, hits: u32) {
    let is_through = || hits.wrapping_sub(shared.handled.load(SeqCst)).cast_signed() <= 0;
    if is_through() {
        return;
    }
    shared.machine_cpu.store(api::host_cpu(), Relaxed);
    wake(shared);
    if LOOKS.look(LOOK_NS, api::host_ns, is_through) {
        return;
    }
    shared.machine_sleeps.store(1, SeqCst);
    loop {
        let handled = shared.handled.load(SeqCst);
        if is_through() {
            break;
        }
        sleep(&shared.handled, handled);
    }
    shared.machine_sleeps.store(0, SeqCst);
}

/// Wakes the harness where it sleeps.
pub(crate) fn wake(shared: &Counts) {
    if shared.harness_sleeps.load(SeqCst) != 0 {
        // SAFETY: a system call on a word that stays mapped.
        unsafe { api::syscall(api::SYS_FUTEX, shared.written.as_ptr(), api::FUTEX_WAKE, 1u32, 0usize) };
    }
}

fn sleep(word: &AtomicU32, value: u32) {
    // SAFETY: as in `wake`.
    unsafe { api::syscall(api::SYS_FUTEX, word.as_ptr(), api::FUTEX_WAIT, value, 0usize) };
}
