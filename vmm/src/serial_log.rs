//! What the guest has written to a serial port.

use crate::memfd;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// The most that one read gives.
const READ_BYTES: u64 = 1 << 20;

/// What a reader may be behind; a flood that is further ahead loses what is older.
const MAX_BEHIND_BYTES: u64 = 64 << 20;

/// Memory of what has been read is given back in pieces of at least this size.
const GIVE_BACK_BYTES: u64 = 256 << 10;

/// An anonymous file that a backend appends to and the host reads. It takes every byte at once: the guest never waits
/// for the host to read, so reading changes nothing that the guest can see.
#[derive(Debug)]
pub struct SerialLog {
    file: File,
    read_bytes: u64,
    given_back_bytes: u64,
    skipped_bytes: u64,
}

impl SerialLog {
    /// An empty log.
    ///
    /// # Errors
    /// As [`memfd::create`].
    pub(crate) fn new(name: &std::ffi::CStr) -> io::Result<Self> {
        Ok(Self { file: memfd::create(name)?, read_bytes: 0, given_back_bytes: 0, skipped_bytes: 0 })
    }

    /// A log in which the guest has written this already.
    ///
    /// # Errors
    /// As [`SerialLog::new`], and what writing returns.
    pub(crate) fn with(name: &std::ffi::CStr, bytes: &[u8]) -> io::Result<Self> {
        let log = Self::new(name)?;
        log.writer()?.write_all(bytes)?;
        Ok(log)
    }

    /// A descriptor to append to, for the device.
    pub(crate) fn writer(&self) -> io::Result<File> {
        // Opened anew, so that writer and reader have file offsets of their own.
        File::options().append(true).open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// The descriptor, for a backend that opens it by path.
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// What has been written since the last call, a mebibyte of it at most; empty when there is nothing new.
    ///
    /// # Errors
    /// What reading or giving memory back returns.
    pub fn read_new(&mut self) -> io::Result<Vec<u8>> {
        let behind = self.file.metadata()?.len().saturating_sub(self.read_bytes);
        let skipped = behind.saturating_sub(MAX_BEHIND_BYTES);
        self.skipped_bytes += skipped;
        self.read_bytes += skipped;
        let mut bytes = vec![0; behind.min(READ_BYTES) as usize];
        let got = self.file.read_at(&mut bytes, self.read_bytes)?;
        bytes.truncate(got);
        self.read_bytes += got as u64;
        if self.read_bytes - self.given_back_bytes >= GIVE_BACK_BYTES {
            self.give_back()?;
        }
        Ok(bytes)
    }

    /// All that has been written so far, read or not; `None` when the memory of some of it has been given back.
    ///
    /// # Errors
    /// What reading returns.
    pub(crate) fn so_far(&self) -> io::Result<Option<Vec<u8>>> {
        if self.given_back_bytes > 0 {
            return Ok(None);
        }
        let mut bytes = vec![0; self.file.metadata()?.len() as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(bytes))
    }

    /// Bytes that nobody will read, because the guest wrote faster than the host read.
    pub fn skipped_bytes(&self) -> u64 {
        self.skipped_bytes
    }

    /// Frees the memory of what has been read.
    fn give_back(&mut self) -> io::Result<()> {
        let (from, length) = (self.given_back_bytes, self.read_bytes - self.given_back_bytes);
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: plain system call on our own file, whose content from there on nobody reads again.
        let done = unsafe { libc::fallocate(self.file.as_raw_fd(), mode, from as libc::off_t, length as libc::off_t) };
        if done != 0 {
            return Err(io::Error::last_os_error());
        }
        self.given_back_bytes = self.read_bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn reads_only_what_is_new() {
        let mut log = SerialLog::new(c"test").unwrap();
        let mut writer = log.writer().unwrap();
        assert!(log.read_new().unwrap().is_empty());
        writer.write_all(b"one").unwrap();
        assert_eq!(log.read_new().unwrap(), b"one");
        writer.write_all(b"two").unwrap();
        assert_eq!(log.read_new().unwrap(), b"two");
    }

    #[test]
    fn what_was_read_is_kept_until_it_is_much() {
        let mut log = SerialLog::new(c"test").unwrap();
        let mut writer = log.writer().unwrap();
        writer.write_all(b"one").unwrap();
        log.read_new().unwrap();
        writer.write_all(b"two").unwrap();
        assert_eq!(log.so_far().unwrap().unwrap(), b"onetwo");
        assert_eq!(log.read_new().unwrap(), b"two");
        writer.write_all(&vec![b'x'; GIVE_BACK_BYTES as usize]).unwrap();
        log.read_new().unwrap();
        assert_eq!(log.so_far().unwrap(), None);
    }

    #[test]
    fn a_flood_that_is_read_takes_no_memory() {
        let mut log = SerialLog::new(c"test").unwrap();
        let mut writer = log.writer().unwrap();
        let piece = vec![b'x'; READ_BYTES as usize];
        for _ in 0..32 {
            writer.write_all(&piece).unwrap();
            assert_eq!(log.read_new().unwrap(), piece);
        }
        let held_bytes = log.file.metadata().unwrap().blocks() * 512;
        assert!(held_bytes <= 2 * GIVE_BACK_BYTES, "{held_bytes} bytes are held");
        assert_eq!(log.skipped_bytes(), 0);
    }

    #[test]
    fn a_reader_that_is_far_behind_goes_on_with_what_is_newer() {
        let mut log = SerialLog::new(c"test").unwrap();
        let mut writer = log.writer().unwrap();
        writer.set_len(MAX_BEHIND_BYTES + 100).unwrap();
        writer.write_all(b"last").unwrap();
        let mut read = Vec::new();
        while let Some(bytes) = log.read_new().ok().filter(|bytes| !bytes.is_empty()) {
            read.extend(bytes);
        }
        assert_eq!(log.skipped_bytes(), 104);
        assert!(read.len() as u64 == MAX_BEHIND_BYTES && read.ends_with(b"last"));
    }
}
