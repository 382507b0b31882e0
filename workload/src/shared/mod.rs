//! Memory that workers and their parent share. Everything in it is an atomic that is valid when zero.

mod book;
mod gate;
mod latencies;
mod slot;
mod timeline;

pub(crate) use book::Book;
pub(crate) use gate::Gate;
pub(crate) use latencies::Latencies;
pub(crate) use slot::{NO_WORK, Slot};
pub(crate) use timeline::{Marks, Runs};

use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

/// A type made of atomics only, of which all zeros are a valid value.
///
/// # Safety
/// Both must hold.
pub(crate) unsafe trait Atomics {}

/// What the parent tells all workers.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Orders {
    /// Workers begin together when it opens.
    pub(crate) start: Gate,
    /// When the parent opened it.
    pub(crate) started_ns: AtomicU64,
    /// Workers book nothing any more.
    pub(crate) closed: AtomicBool,
    /// Workers are to end.
    pub(crate) stop: AtomicBool,
    /// Number of the current phase, the first being 0.
    pub(crate) phase: AtomicU64,
    /// When the current and the one before it began, by parity of their numbers.
    pub(crate) phase_from_ns: [AtomicU64; 2],
}

/// A place where workers of one group meet, in a cache line of its own. What it means is up to their work type.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Word {
    /// For futex(2).
    pub(crate) futex: AtomicU32,
    /// A time or a count.
    pub(crate) value: AtomicU64,
}

// SAFETY: atomics only, for which zero is valid.
unsafe impl Atomics for Orders {}
// SAFETY: atomics only, for which zero is valid.
unsafe impl Atomics for Word {}
// SAFETY: atomics only, for which zero is valid.
unsafe impl Atomics for Slot {}

/// A slice in anonymous shared memory, which stays shared after `fork`. Pages that nobody touches take no memory.
#[derive(Debug)]
pub(crate) struct Shared<T: Atomics> {
    first: NonNull<T>,
    count: usize,
}

// SAFETY: the memory is mapped for the value's life and holds atomics only.
unsafe impl<T: Atomics> Send for Shared<T> {}
// SAFETY: as for Send.
unsafe impl<T: Atomics> Sync for Shared<T> {}

impl<T: Atomics> Shared<T> {
    pub(crate) fn new(count: usize) -> io::Result<Self> {
        let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), Self::bytes(count), prot, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { first, count })
    }

    /// There is no empty mapping.
    fn bytes(count: usize) -> usize {
        count.max(1) * size_of::<T>()
    }
}

impl<T: Atomics> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: mapped, page-aligned, zero-filled by the kernel, and valid by the trait's promise.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T: Atomics> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this size; no reference outlives `self`.
        unsafe { libc::munmap(self.first.as_ptr().cast(), Self::bytes(self.count)) };
    }
}
