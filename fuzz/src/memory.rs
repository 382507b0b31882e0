//! Memory that a target shares with nobody, as a region.

use ktstr_wire::MappedRegion;
use std::ptr::NonNull;

/// Zeroed memory.
pub(crate) struct Memory {
    words: Vec<u64>,
    len_bytes: usize,
}

impl Memory {
    pub(crate) fn new(len_bytes: usize) -> Self {
        Self { words: vec![0; len_bytes.div_ceil(8)], len_bytes }
    }

    /// The memory; a copy that outlives the value is not to be used.
    pub(crate) fn region(&mut self) -> MappedRegion {
        let start = NonNull::new(self.words.as_mut_ptr().cast()).unwrap_or(NonNull::dangling());
        // SAFETY: the words are as long, aligned, and not looked at in any other way; the targets drop what they made of
        // the region before the memory.
        unsafe { MappedRegion::new(start, self.len_bytes) }
    }
}
