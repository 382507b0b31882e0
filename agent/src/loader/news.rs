//! What the tracer tells the agent, in frames of a little-endian `u32` length and that many bytes.

use super::Asked;
use crate::pipe::never_wait;
use anyhow::{Context, Result, anyhow, bail};
use ktstr_wire::frames::{self, frame};
use ktstr_wire::message::{decode, encode};
use ktstr_wire::scheduler::{MAX_PIECE_BYTES, ProgramLoad};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// More than the largest frame has: a piece of a log and its length.
const MAX_FRAME_BYTES: usize = MAX_PIECE_BYTES + 64;
const READ_BYTES: usize = 256 << 10;

/// One thing told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum News {
    /// A program was loaded, or not.
    Program(ProgramLoad),
    /// A piece of the log of the program told of last.
    Log(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The scheduler's operations were given to the kernel with the watchdog that is asked for.
    WatchdogSet,
    /// The program could not be started, and this is why. Its process ends.
    NotStarted(String),
    /// Something could not be done as asked, and this is why.
    Trouble(String),
    /// The scheduler is no longer traced: it was let go, or all of its processes have ended. The last of all.
    Released,
}

/// The tracer's end.
pub(super) struct Teller {
    pipe: File,
}

impl Teller {
    pub(super) fn new(pipe: OwnedFd) -> Self {
        Self { pipe: File::from(pipe) }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// Waits until there is room.
    pub(super) fn tell(&mut self, news: &News) -> Result<()> {
        self.pipe.write_all(&frame(&encode(news))).context("the agent does not listen to the tracer")
    }
}

/// The agent's end: a scheduler that is traced. Dropping it lets the scheduler go.
pub(crate) struct Tracer {
    pipe: File,
    release: Option<OwnedFd>,
    asked: Asked,
    bytes: Vec<u8>,
    is_watchdog_set: bool,
    is_released: bool,
}

impl Tracer {
    pub(super) fn new(pipe: OwnedFd, release: OwnedFd, asked: Asked) -> Result<Self> {
        never_wait(pipe.as_fd())?;
        let (bytes, pipe) = (Vec::new(), File::from(pipe));
        Ok(Self { pipe, release: Some(release), asked, bytes, is_watchdog_set: false, is_released: false })
    }

    /// Can be read when there are news.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }

    /// What has been told by now. Does not wait. The tracer waits for room in a pipe, so this must be called until
    /// [`Tracer::is_released`].
    ///
    /// # Errors
    /// When the tracer died, and the scheduler with it.
    pub(crate) fn news(&mut self) -> Result<Vec<News>> {
        let mut all = Vec::new();
        let mut room = vec![0; READ_BYTES];
        match self.pipe.read(&mut room) {
            Ok(0) if self.is_released => {}
            Ok(0) => bail!("the tracer of the scheduler died, and with it the scheduler"),
            Ok(count) => self.bytes.extend_from_slice(&room[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("cannot read what the tracer of the scheduler tells"),
        }
        while let Some(news) = self.take_one()? {
            self.is_watchdog_set |= news == News::WatchdogSet;
            self.is_released |= news == News::Released;
            all.push(news);
        }
        Ok(all)
    }

    fn take_one(&mut self) -> Result<Option<News>> {
        let frame = frames::take(&mut self.bytes, MAX_FRAME_BYTES).map_err(|length| {
            anyhow!("the tracer of the scheduler tells something of {length} bytes, more than {MAX_FRAME_BYTES}")
        })?;
        frame.map(|frame| decode(&frame).context("cannot understand the tracer of the scheduler")).transpose()
    }

    /// Asks the tracer to let the scheduler go; it tells when it has.
    pub(crate) fn release(&mut self) {
        if let Some(pipe) = self.release.take() {
            // A tracer that reads no more traces nothing.
            let _ = File::from(pipe).write(&[0]);
        }
    }

    /// Whether nothing is traced any more.
    pub(crate) fn is_released(&self) -> bool {
        self.is_released
    }

    /// What was not done of what was asked, once the scheduler is enabled.
    pub(crate) fn complaint(&self) -> Option<String> {
        let timeout_ms = self.asked.watchdog_timeout_ms.filter(|_| !self.is_watchdog_set)?;
        Some(format!(
            "the kernel's watchdog could not be set to {timeout_ms} ms: the scheduler was enabled, and no update of a \
             struct_ops map with its operations was seen (light skeletons and 32-bit programs cannot be seen)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::pipe;

    /// Both ends; the second descriptor ends when the scheduler is to be let go.
    fn ends(asked: Asked) -> (Tracer, Teller, OwnedFd) {
        let ((news_out, news_in), (release_out, release_in)) = (pipe().unwrap(), pipe().unwrap());
        (Tracer::new(news_out, release_in, asked).unwrap(), Teller::new(news_in), release_out)
    }

    const WATCHDOG: Asked = Asked { watchdog_timeout_ms: Some(2000), log_level: 0 };

    #[test]
    fn what_is_told_arrives_in_order() {
        let (mut tracer, mut teller, _) = ends(WATCHDOG);
        assert_eq!(tracer.news().unwrap(), []);
        assert!(tracer.complaint().unwrap().contains("2000 ms"));
        let told = [News::Log(vec![1; 9]), News::WatchdogSet, News::Released];
        told.iter().for_each(|news| teller.tell(news).unwrap());
        assert_eq!(tracer.news().unwrap(), told);
        assert!(tracer.is_released() && tracer.complaint().is_none());
        drop(teller);
        assert_eq!(tracer.news().unwrap(), []);
    }

    #[test]
    fn a_tracer_that_dies_is_told_of() {
        let (mut tracer, mut teller, _) = ends(WATCHDOG);
        teller.tell(&News::WatchdogSet).unwrap();
        drop(teller);
        assert_eq!(tracer.news().unwrap(), [News::WatchdogSet]);
        assert!(tracer.news().unwrap_err().to_string().contains("died"));
    }

    #[test]
    fn a_frame_may_come_in_parts() {
        let (mut tracer, mut teller, _) = ends(WATCHDOG);
        let bytes = encode(&News::Trouble("no".into()));
        teller.pipe.write_all(&(bytes.len() as u32).to_le_bytes()).unwrap();
        assert_eq!(tracer.news().unwrap(), []);
        teller.pipe.write_all(&bytes[..2]).unwrap();
        assert_eq!(tracer.news().unwrap(), []);
        teller.pipe.write_all(&bytes[2..]).unwrap();
        assert_eq!(tracer.news().unwrap(), [News::Trouble("no".into())]);
        teller.pipe.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(tracer.news().is_err());
    }

    #[test]
    fn releasing_is_heard() {
        let (mut tracer, _teller, release) = ends(WATCHDOG);
        tracer.release();
        tracer.release();
        assert_eq!(File::from(release).read(&mut [0; 9]).unwrap(), 1);
    }
}
