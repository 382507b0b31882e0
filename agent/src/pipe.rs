//! Pipes from the processes that the agent starts.

use anyhow::{Context, Result};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const READ_BYTES: usize = 32 << 10;

/// The reading end of a pipe; reading does not wait.
pub(crate) struct Pipe(File);

/// What a pipe has.
pub(crate) enum Piece {
    /// Nothing at the moment.
    Nothing,
    /// At most [`READ_BYTES`].
    Bytes(Vec<u8>),
    /// Nothing any more: all its writers are gone.
    End,
}

impl Pipe {
    /// Takes the reading end.
    pub(crate) fn new(fd: OwnedFd) -> Result<Self> {
        never_wait(fd.as_fd())?;
        Ok(Self(File::from(fd)))
    }

    /// Reads once.
    pub(crate) fn read(&mut self) -> Result<Piece> {
        let mut bytes = vec![0; READ_BYTES];
        match self.0.read(&mut bytes) {
            Ok(0) => Ok(Piece::End),
            Ok(count) => {
                bytes.truncate(count);
                Ok(Piece::Bytes(bytes))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Piece::Nothing)
            }
            Err(error) => Err(error).context("cannot read what a process says"),
        }
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// From now on reading and writing the pipe do not wait.
pub(crate) fn never_wait(pipe: BorrowedFd<'_>) -> Result<()> {
    let flags = fcntl_getfl(pipe).context("cannot read the flags of a pipe")?;
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).context("cannot set the flags of a pipe")
}
