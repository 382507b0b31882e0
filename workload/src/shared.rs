//! Memory that workers and their parent share: one slot a worker.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What one worker writes and the parent reads. Aligned so that workers don't share cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    pub(crate) started_ns: AtomicU64,
    pub(crate) last_ns: AtomicU64,
    pub(crate) work_units: AtomicU64,
    pub(crate) iterations: AtomicU64,
    pub(crate) cpu_time_ns: AtomicU64,
    pub(crate) migrations: AtomicU64,
    pub(crate) cpu: AtomicU64,
    pub(crate) gap_length_ns: AtomicU64,
    pub(crate) gap_from_ns: AtomicU64,
    pub(crate) gap_cpu: AtomicU64,
    pub(crate) stop: AtomicBool,
}

/// Slots in anonymous shared memory, which survive `fork`.
#[derive(Debug)]
pub(crate) struct Slots {
    first: NonNull<Slot>,
    count: usize,
}

// SAFETY: the memory is mapped for the value's life and holds atomics only.
unsafe impl Send for Slots {}
// SAFETY: as for Send.
unsafe impl Sync for Slots {}

impl Slots {
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        let bytes = (count.max(1)) * size_of::<Slot>();
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, prot, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { first, count })
    }

    /// The slots; fresh ones are all zero, which is a valid value of every field.
    pub(crate) fn all(&self) -> &[Slot] {
        // SAFETY: mapped, page-aligned, zero-filled by the kernel, and only atomics inside.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; no reference outlives `self`.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.count.max(1) * size_of::<Slot>()) };
    }
}
