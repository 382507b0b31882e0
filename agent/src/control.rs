//! The control channel: frames on COM2, with the console as the place of last resort.

use anyhow::{Context, Result};
use ktstr_wire::message::encode;
use ktstr_wire::{GuestMessage, control::frame};
use rustix::termios::{OptionalActions, tcdrain, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

const DEVICE: &str = "/dev/ttyS1";

/// A sender of control messages. Clones share the channel.
#[derive(Clone, Default)]
pub(crate) struct Control {
    port: Arc<Mutex<Option<File>>>,
}

impl Control {
    /// A sender that has only the console so far.
    pub(crate) fn open() -> Self {
        Self::default()
    }

    /// Opens COM2, which needs /dev.
    pub(crate) fn connect(&self) -> Result<()> {
        let port = File::options().read(true).write(true).open(DEVICE);
        let port = port.with_context(|| format!("cannot open the control channel {DEVICE}"))?;
        let mut settings = tcgetattr(&port).with_context(|| format!("cannot read the settings of {DEVICE}"))?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings).with_context(|| format!("cannot set {DEVICE} to raw"))?;
        *self.port.lock().unwrap_or_else(PoisonError::into_inner) = Some(port);
        Ok(())
    }

    /// Sends a message and waits until the device has it. Without a channel it goes to the console, for people.
    pub(crate) fn send(&self, message: &GuestMessage) {
        let mut port = self.port.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = match port.as_mut() {
            Some(port) => port.write_all(&frame(&encode(message))).and_then(|()| Ok(tcdrain(&*port)?)),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        if let Err(error) = sent {
            eprintln!("ktstr-agent: cannot send on the control channel ({error}): {message:?}");
        }
    }

    /// Tells the host what could not be done.
    pub(crate) fn fault(&self, what: &str) {
        eprintln!("ktstr-agent: {what}");
        self.send(&GuestMessage::Fault(what.to_owned()));
    }
}
