//! Asking the kernel of a guest that is overdue what it does: SysRq keys on its console.

use super::{LOOK_EVERY, Session, SessionError};
use ktstr_vmm::Error;
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

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Every key was answered.
    Answered,
    /// No answer to this key.
    Silence(char),
    /// The keys could not be sent.
    Failed(String),
}

impl Session {
    /// Presses all keys. What comes from now on is a dump.
    pub(super) fn ask(&mut self) -> Result<Asked, SessionError> {
        self.console.begin_dump();
        for key in std::iter::once(ALL_LEVELS).chain(KEYS.iter().copied()) {
            if let Err(error) = self.press(key) {
                return Ok(Asked::Failed(error.to_string()));
            }
            if !self.hear_out()? {
                return Ok(Asked::Silence(char::from(key)));
            }
        }
        Ok(Asked::Answered)
    }

    fn press(&mut self, key: u8) -> Result<(), Error> {
        self.vm.send_break()?;
        self.vm.type_into_console(&[key])
    }

    /// Listens until the kernel is silent again; whether it said anything.
    fn hear_out(&mut self) -> Result<bool, SessionError> {
        let began = Instant::now();
        let mut last_heard = None;
        loop {
            if self.look()?.console_bytes > 0 {
                last_heard = Some(Instant::now());
            }
            let is_over = match last_heard {
                None => began.elapsed() > ANSWER_LIMIT,
                Some(heard) => heard.elapsed() > QUIET || began.elapsed() > LONGEST_ANSWER,
            };
            if is_over || self.vm.exit().is_some() {
                return Ok(last_heard.is_some());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
