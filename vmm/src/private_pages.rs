//! Memory of this process alone, in huge pages where the host has them.
//!
//! What a guest touches first costs an exit and a fault of the host for each page: 25 000 of them while a kernel boots on
//! pages of 4 KiB, a few hundred on pages of 2 MiB. Shared files get huge pages only on hosts that were told to, private
//! memory on all that do not forbid it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// Size of a huge page, and alignment of the mapping.
pub(crate) const HUGE_BYTES: usize = 2 << 20;

/// What is mapped: it gives anonymous memory as no file at all does, but with a name in `/proc/PID/smaps`.
const SOURCE: &str = "/dev/zero";

/// Protection and flags of a mapping.
pub(crate) const PROTECTION: i32 = libc::PROT_READ | libc::PROT_WRITE;
pub(crate) const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_NORESERVE;

/// A mapping of zeros. Pages take host memory once they are touched.
#[derive(Debug)]
pub(crate) struct PrivatePages {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: plain memory, which this value does not touch itself.
unsafe impl Send for PrivatePages {}
// SAFETY: as for Send.
unsafe impl Sync for PrivatePages {}

impl PrivatePages {
    /// Maps `bytes` bytes, a multiple of the page size, aligned to [`HUGE_BYTES`].
    ///
    /// # Errors
    /// What the host's kernel returned.
    pub(crate) fn map(bytes: usize) -> io::Result<Self> {
        let source = File::options().read(true).write(true).open(SOURCE)?;
        let whole = bytes.checked_add(HUGE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), whole, PROTECTION, FLAGS, source.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let before = start.align_offset(HUGE_BYTES);
        // SAFETY: both ranges lie in the mapping just made, before and behind what is kept. The latter is not empty, for
        // less than HUGE_BYTES are before; to hint at huge pages and at forks changes no content.
        let aligned = unsafe {
            let aligned = start.byte_add(before);
            if before > 0 {
                libc::munmap(start, before);
            }
            libc::munmap(aligned.byte_add(bytes), whole - before - bytes);
            // Both are refused only by kernels built without; the memory works all the same.
            libc::madvise(aligned, bytes, libc::MADV_HUGEPAGE);
            // A child of this process has no use for a guest's memory.
            libc::madvise(aligned, bytes, libc::MADV_DONTFORK);
            aligned
        };
        let start = NonNull::new(aligned.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { start, bytes })
    }

    /// Maps `bytes` bytes, a multiple of [`HUGE_BYTES`], in huge pages that the host keeps for those who ask for them
    /// (Documentation/admin-guide/mm/hugetlbpage.rst). They are set aside now, and taken when touched.
    ///
    /// # Errors
    /// What the host's kernel returned; ENOMEM when it has too few.
    pub(crate) fn map_reserved(bytes: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB | libc::MAP_HUGE_2MB;
        // SAFETY: a fresh mapping at an address of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, PROTECTION, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let pages = Self { start, bytes };
        pages.advise(libc::MADV_DONTFORK)?;
        Ok(pages)
    }

    /// Puts the pages of a file in the place of those from `at` on. What is written there stays in this mapping, and what is
    /// not takes no memory but the file's. The file must not become shorter as long as this lives.
    ///
    /// # Errors
    /// What the host's kernel returned.
    pub(crate) fn share(&self, at: usize, file: &File, offset: u64, bytes: usize) -> io::Result<()> {
        if at.checked_add(bytes).is_none_or(|end| end > self.bytes) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the range was just found to be in this value's own mapping, whose content is not used yet.
        let shared = unsafe {
            let start = self.start.as_ptr().add(at).cast();
            let flags = FLAGS | libc::MAP_FIXED;
            let mapped = libc::mmap(start, bytes, PROTECTION, flags, file.as_raw_fd(), offset as libc::off_t);
            mapped != libc::MAP_FAILED && libc::madvise(start, bytes, libc::MADV_DONTFORK) == 0
        };
        if shared { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes all pages now: what the host lacks is an error here and would be a signal later.
    ///
    /// # Errors
    /// What the host's kernel returned.
    pub(crate) fn populate(&self) -> io::Result<()> {
        self.advise(libc::MADV_POPULATE_WRITE)
    }

    fn advise(&self, advice: i32) -> io::Result<()> {
        // SAFETY: the mapping is this value's own, and neither advice that is given changes its content.
        let done = unsafe { libc::madvise(self.start.as_ptr().cast(), self.bytes, advice) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }
}

impl Drop for PrivatePages {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, of the same size, which its owner uses no more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of `/proc/self/smaps` on the mapping at this address.
    fn smaps_of(address: usize) -> Option<String> {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let at = smaps.find(&format!("{address:x}-"))?;
        let end = smaps[at..].find("VmFlags:").map(|more| at + more)?;
        let flags_end = smaps[end..].find('\n').map(|more| end + more)?;
        Some(smaps[at..flags_end].to_owned())
    }

    #[test]
    fn maps_zeros_in_huge_pages_and_unmaps_them() {
        let bytes = 4 * HUGE_BYTES;
        let pages = PrivatePages::map(bytes).unwrap();
        let address = pages.start().as_ptr() as usize;
        assert!(address.is_multiple_of(HUGE_BYTES));
        for offset in [0, bytes / 2, bytes - 1] {
            // SAFETY: inside the mapping, which only this test uses.
            let byte = unsafe { pages.start().as_ptr().add(offset) };
            // SAFETY: as above.
            assert_eq!(unsafe { byte.read_volatile() }, 0);
            // SAFETY: as above.
            unsafe { byte.write_volatile(1) };
        }
        let smaps = smaps_of(address).unwrap();
        assert!(smaps.starts_with(&format!("{address:x}-{:x} rw-p", address + bytes)), "{smaps}");
        assert!(smaps.contains(" dc ") && smaps.lines().next().unwrap().ends_with(SOURCE), "{smaps}");
        drop(pages);
        assert!(smaps_of(address).is_none_or(|smaps| !smaps.contains(SOURCE)));
    }
}
