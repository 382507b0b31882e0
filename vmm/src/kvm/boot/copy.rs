//! Copying parts of files into guest memory.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// Reads `bytes` bytes of `file` from `offset` on straight into a guest's RAM at `gpa`.
///
/// # Errors
/// What reading returned; [`io::ErrorKind::UnexpectedEof`] when the file is too short,
/// [`io::ErrorKind::AddrNotAvailable`] when the place is not all RAM.
pub(super) fn copy(mut file: &File, offset: u64, bytes: u64, memory: &GuestMemoryMmap, gpa: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::AddrNotAvailable)?;
    if !memory.check_range(GuestAddress(gpa), bytes) {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    file.seek(SeekFrom::Start(offset))?;
    memory.read_exact_volatile_from(GuestAddress(gpa), &mut file, bytes).map_err(|error| match error {
        vm_memory::GuestMemoryError::IOError(error) => error,
        vm_memory::GuestMemoryError::PartialBuffer { .. } => io::ErrorKind::UnexpectedEof.into(),
        other => io::Error::other(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Backing;
    use crate::memory::tests::ram;
    use std::io::Write;

    const MIB: u64 = 1 << 20;

    /// Across the border of two nodes, each of which is a mapping of its own.
    #[test]
    fn every_byte_arrives() {
        let ram = ram(&[256, 256], Backing::Private);
        let bytes: Vec<u8> = (0..700_001_u32).map(|i| (i % 251) as u8).collect();
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
        let ram = ram(&[512], Backing::Private);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 8192]).unwrap();
        let kind = |bytes, gpa| copy(&file, 0, bytes, ram.mapped(), gpa).unwrap_err().kind();
        assert_eq!(kind(8193, 0), io::ErrorKind::UnexpectedEof);
        assert_eq!(kind(8192, 512 * MIB - 4096), io::ErrorKind::AddrNotAvailable);
        assert_eq!(kind(u64::MAX, 4096), io::ErrorKind::AddrNotAvailable);
    }
}
