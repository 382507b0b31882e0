//! Asking the kernel of a guest that is overdue what it does: SysRq keys on its console, or an NMI.

use super::{LOOK_EVERY, Session, SessionError};
use ktstr_wire::dump::KEYS;
use std::time::{Duration, Instant};

/// Has the console show everything; the key is the level.
const ALL_LEVELS: u8 = b'8';

/// How long the kernel may take to begin its answer to a key. One that serves interrupts does so at once.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// An answer has ended when nothing comes for this long.
const QUIET: Duration = Duration::from_millis(500);

/// The longest that one answer is listened to.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// How long each key is given where none was answered: what is printed by a thread may be there, and the thread without a
/// CPU.
const SILENT_LIMIT: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Every key was answered.
    Answered,
    /// It took an NMI to get anything.
    Forced,
    /// No answer to anything.
    Silence,
    /// The kernel could not be asked.
    Failed(String),
}

impl Session<'_> {
    /// Presses all keys, and where that brings nothing sends an NMI. What comes from now on is a dump.
    pub(super) fn ask(&mut self) -> Result<Asked, SessionError> {
        self.console.begin_dump();
        let mut limit = ANSWER_LIMIT;
        for key in std::iter::once(ALL_LEVELS).chain(KEYS.iter().copied()) {
            if let Err(error) = self.vm.send_sysrq(key) {
                return Ok(Asked::Failed(error.to_string()));
            }
            if !self.hear_out(limit)? {
                limit = SILENT_LIMIT;
            }
        }
        if limit == ANSWER_LIMIT {
            return Ok(Asked::Answered);
        }
        self.console.expect_panic();
        match self.vm.send_nmi() {
            Err(error) => Ok(Asked::Failed(error.to_string())),
            Ok(()) if self.hear_out(ANSWER_LIMIT)? => Ok(Asked::Forced),
            Ok(()) => Ok(Asked::Silence),
        }
    }

    /// Listens until the kernel is silent again; whether it began to say something within `limit`.
    fn hear_out(&mut self, limit: Duration) -> Result<bool, SessionError> {
        let began = Instant::now();
        let mut last_heard = None;
        loop {
            if self.look()?.console_bytes > 0 {
                last_heard = Some(Instant::now());
            }
            let is_over = match last_heard {
                None => began.elapsed() > limit,
                Some(heard) => heard.elapsed() > QUIET || began.elapsed() > LONGEST_ANSWER,
            };
            if is_over || self.vm.exit().is_some() {
                return Ok(last_heard.is_some());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
