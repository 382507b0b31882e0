//! Shared memory, seen as bytes that the other side may change at any moment.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// Memory that two sides share. Offsets are in bytes; an access outside the region panics, so callers check what came
/// from the other side before they use it as an offset.
pub trait Region {
    /// Size in bytes.
    fn len_bytes(&self) -> usize;
    /// Copies out, once: what is in `into` afterwards does not change any more, whatever the other side does.
    fn read(&self, offset: usize, into: &mut [u8]);
    /// Copies in.
    fn write(&self, offset: usize, from: &[u8]);
    /// Loads a 4-aligned word with acquire ordering.
    fn load(&self, offset: usize) -> u32;
    /// Stores a 4-aligned word with release ordering.
    fn store(&self, offset: usize, value: u32);
}

/// A region that is mapped into this process.
#[derive(Debug, Clone, Copy)]
pub struct MappedRegion {
    start: NonNull<u8>,
    len_bytes: usize,
}

// SAFETY: every access goes through copies and atomics on the mapping, which `MappedRegion::new` requires to outlive the value;
// no reference into it is ever made, so threads may use it at once.
unsafe impl Send for MappedRegion {}
// SAFETY: as for Send.
unsafe impl Sync for MappedRegion {}

impl MappedRegion {
    /// The region of `len_bytes` at `start`.
    ///
    /// # Safety
    /// The range must be mapped readable and writable for as long as the value or a copy of it is used, `start` must be
    /// 4-aligned, and no Rust reference to any of it may exist.
    pub unsafe fn new(start: NonNull<u8>, len_bytes: usize) -> Self {
        debug_assert!(start.as_ptr().cast::<u32>().is_aligned());
        Self { start, len_bytes }
    }

    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        let end = offset.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len_bytes),
            "{len} bytes at {offset} lie outside a shared region of {} bytes",
            self.len_bytes
        );
        // SAFETY: offset + len was just checked against the mapping's length.
        unsafe { self.start.as_ptr().add(offset) }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(4), "the word at {offset} is not aligned");
        let word = self.at(offset, 4).cast::<AtomicU32>();
        // SAFETY: in range and aligned (both checked), mapped for the value's life, and atomics allow concurrent change.
        unsafe { &*word }
    }
}

impl Region for MappedRegion {
    fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        let from = self.at(offset, into.len());
        // SAFETY: `from` is valid for the length (checked) and cannot overlap a Rust slice.
        unsafe { std::ptr::copy_nonoverlapping(from, into.as_mut_ptr(), into.len()) }
        // The other side may write at any moment: without this the compiler could read again instead of using the copy.
        fence(Ordering::Acquire);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        let into = self.at(offset, from.len());
        // SAFETY: as in `read`.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), into, from.len()) }
    }

    fn load(&self, offset: usize) -> u32 {
        self.word(offset).load(Ordering::Acquire)
    }

    fn store(&self, offset: usize, value: u32) {
        self.word(offset).store(value, Ordering::Release);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A region in ordinary memory.
    pub(crate) struct Owned {
        region: MappedRegion,
        _words: Vec<AtomicU32>,
    }

    impl Owned {
        pub(crate) fn new(len_bytes: usize) -> Self {
            let words: Vec<AtomicU32> = (0..len_bytes / 4).map(|_| AtomicU32::new(0)).collect();
            let start = NonNull::from(&words[0]).cast();
            // SAFETY: the words live as long as `Owned`, atomics may be changed through a shared reference.
            Self { region: unsafe { MappedRegion::new(start, len_bytes) }, _words: words }
        }

        pub(crate) fn region(&self) -> MappedRegion {
            self.region
        }
    }

    #[test]
    #[should_panic(expected = "outside a shared region")]
    fn refuses_what_lies_outside() {
        Owned::new(64).region().write(60, &[0; 5]);
    }

    #[test]
    fn reads_back() {
        let owned = Owned::new(64);
        owned.region().write(3, b"abc");
        let mut got = [0; 4];
        owned.region().read(2, &mut got);
        assert_eq!(&got, b"\0abc");
        owned.region().store(8, 7);
        assert_eq!(owned.region().load(8), 7);
    }
}
