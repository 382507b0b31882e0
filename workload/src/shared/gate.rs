//! Something that many wait for.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Closed at first. Without descriptors, which any other child of the parent would hold open as well.
#[derive(Debug)]
pub(crate) struct Gate(AtomicU32);

impl Gate {
    /// Lets all pass that wait, and all that come later.
    pub(crate) fn open(&self) {
        self.0.store(1, Release);
        // SAFETY: a live word; the operation takes no other pointer.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    }

    /// Waits until it is open.
    pub(crate) fn pass(&self) {
        while self.0.load(Acquire) == 0 {
            // SAFETY: a live word and no time-out.
            unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAIT, 0, std::ptr::null::<u8>()) };
        }
    }
}
