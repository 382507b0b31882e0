//! Where the bytes of an image come from: a file, or memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Random access to bytes.
pub(crate) trait Bytes {
    /// How many bytes there are.
    fn size(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on; a range that is not wholly there is [`io::ErrorKind::UnexpectedEof`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// The bytes of a range that lies inside.
    fn range(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|end| self.size().is_ok_and(|size| *end <= size));
        if end.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?];
        self.read_at(offset, &mut buffer)?;
        Ok(buffer)
    }
}

impl Bytes for [u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let found = start.checked_add(buffer.len()).and_then(|end| self.get(start..end));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Bytes for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, buffer)
    }
}

impl Bytes for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}
