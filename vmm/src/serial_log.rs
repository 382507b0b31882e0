//! What the guest has written to a serial port.

use crate::memfd;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// An anonymous file that a backend appends to and the host reads. It takes every byte at once: the guest never waits
/// for the host to read, so reading changes nothing that the guest can see.
#[derive(Debug)]
pub struct SerialLog {
    file: File,
    read_bytes: u64,
}

impl SerialLog {
    /// An empty log.
    ///
    /// # Errors
    /// As [`memfd::create`].
    pub(crate) fn new(name: &std::ffi::CStr) -> io::Result<Self> {
        Ok(Self { file: memfd::create(name)?, read_bytes: 0 })
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

    /// What has been written since the last call.
    ///
    /// # Errors
    /// What reading returns.
    pub fn read_new(&mut self) -> io::Result<Vec<u8>> {
        let length = self.file.metadata()?.len();
        let mut bytes = vec![0; length.saturating_sub(self.read_bytes) as usize];
        let got = self.file.read_at(&mut bytes, self.read_bytes)?;
        bytes.truncate(got);
        self.read_bytes += got as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

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
}
