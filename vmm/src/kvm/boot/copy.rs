//! Copying parts of files into guest memory.
//!
//! Guest memory is a file too, and is written as one: half the time of a copy into the mapping, which would take a page
//! fault, and a page cleared for nothing, every 4 KiB. Pages of zeros are left out, for a guest's RAM starts as zeros: a
//! quarter of a kernel's image is such pages.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use vm_memory::{Address, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

const BUFFER_BYTES: usize = 256 << 10;
const PAGE_BYTES: usize = 4096;

/// Copies `bytes` bytes of `file` from `offset` on to `gpa` of a guest's RAM that is still all zeros.
///
/// # Errors
/// What reading or writing returned; [`io::ErrorKind::UnexpectedEof`] when the file is too short,
/// [`io::ErrorKind::AddrNotAvailable`] when the place is not all RAM.
pub(super) fn copy(file: &File, offset: u64, bytes: u64, memory: &GuestMemoryMmap, gpa: u64) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut done = 0;
    while done < bytes {
        let (ram, position, room) = place(memory, gpa + done).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let piece = (bytes - done).min(room).min(BUFFER_BYTES as u64) as usize;
        let buffer = &mut buffer[..piece];
        file.read_exact_at(buffer, offset + done)?;
        for run in runs(buffer) {
            ram.write_all_at(&buffer[run.clone()], position + run.start as u64)?;
        }
        done += piece as u64;
    }
    Ok(())
}

/// The file behind an address, the position in it, and how many bytes follow there.
fn place(memory: &GuestMemoryMmap, gpa: u64) -> Option<(&File, u64, u64)> {
    let region = memory.find_region(GuestAddress(gpa))?;
    let behind = region.file_offset()?;
    let skipped = gpa - region.start_addr().raw_value();
    Some((behind.file(), behind.start() + skipped, region.len() - skipped))
}

/// The parts that are not pages of zeros.
fn runs(bytes: &[u8]) -> Vec<Range<usize>> {
    const ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
    let mut runs: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    for page in bytes.chunks(PAGE_BYTES) {
        let end = start + page.len();
        if *page != ZEROS[..page.len()] {
            match runs.last_mut().filter(|run| run.end == start) {
                Some(run) => run.end = end,
                None => runs.push(start..end),
            }
        }
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::RamLayout;
    use crate::memory::GuestRam;
    use std::io::Write;
    use vm_memory::Bytes;

    const MIB: u64 = 1 << 20;

    #[test]
    fn leaves_out_only_pages_of_zeros() {
        let mut bytes = vec![0; 4 * PAGE_BYTES + 10];
        assert!(runs(&bytes).is_empty());
        bytes[PAGE_BYTES] = 1;
        bytes[3 * PAGE_BYTES - 1] = 1;
        bytes[4 * PAGE_BYTES + 9] = 1;
        assert_eq!(runs(&bytes), [PAGE_BYTES..3 * PAGE_BYTES, 4 * PAGE_BYTES..4 * PAGE_BYTES + 10]);
    }

    /// Across the border of two nodes, each of which is a file of its own, and of several buffers.
    #[test]
    fn every_byte_arrives() {
        let ram = GuestRam::new(RamLayout::new(512 * MIB, 64 * MIB).unwrap(), 2).unwrap();
        let bytes: Vec<u8> = (0..700_001_u32).map(|i| if i % 9001 < 4500 { 0 } else { (i % 251) as u8 }).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let gpa = 256 * MIB - 300_003;
        copy(&file, 1, 700_000, ram.mapped(), gpa).unwrap();
        let mut got = vec![0xee; 700_000];
        ram.mapped().read_slice(&mut got, GuestAddress(gpa)).unwrap();
        assert!(got == bytes[1..]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let ram = GuestRam::new(RamLayout::new(512 * MIB, 64 * MIB).unwrap(), 1).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 8192]).unwrap();
        let kind = |bytes, gpa| copy(&file, 0, bytes, ram.mapped(), gpa).unwrap_err().kind();
        assert_eq!(kind(8193, 0), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(8192, 512 * MIB - 4096), io::ErrorKind::AddrNotAvailable);
    }
}
