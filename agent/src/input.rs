//! What the program reads: nothing, what the host sends, or the console.

use crate::link::Link;
use crate::pipe::never_wait;
use crate::terminal::Terminal;
use anyhow::{Context, Result};
use ktstr_wire::{HostMessage, Streams};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdin, Command, Stdio};

/// How often the host is listened to while it may have input, and while it can only tell a new size.
const INPUT_EVERY_NS: u64 = 2_000_000;
const SIZE_EVERY_NS: u64 = 50_000_000;

/// The program's input.
pub(crate) enum Input {
    /// The host is not listened to.
    None,
    /// The pipe to the program, until one end of it is closed, and what did not fit into it yet.
    Piped { pipe: Option<ChildStdin>, pending: Vec<u8> },
    /// It needs no help but with its size.
    Terminal(Terminal),
}

impl Input {
    /// Gives the program, which is to be started, its streams.
    pub(crate) fn prepare(streams: Streams, command: &mut Command) -> Result<Self> {
        Ok(match streams {
            Streams::Captured => Self::None,
            Streams::Piped => {
                command.stdin(Stdio::piped());
                Self::Piped { pipe: None, pending: Vec::new() }
            }
            Streams::Terminal(size) => {
                let terminal = Terminal::open(size)?;
                terminal.give_to(command)?;
                Self::Terminal(terminal)
            }
        })
    }

    /// Takes the pipe to the program, which has been started.
    pub(crate) fn begin(&mut self, stdin: Option<ChildStdin>) -> Result<()> {
        if let (Self::Piped { pipe, .. }, Some(stdin)) = (self, stdin) {
            never_wait(stdin.as_fd())?;
            *pipe = Some(stdin);
        }
        Ok(())
    }

    /// How long to do something else before the next look at what the host says.
    pub(crate) fn look_every_ns(&self) -> u64 {
        match self {
            Self::None | Self::Piped { pipe: None, .. } => u64::MAX,
            Self::Piped { .. } => INPUT_EVERY_NS,
            Self::Terminal(_) => SIZE_EVERY_NS,
        }
    }

    /// Passes on what the host says. What the program does not read yet stays in the ring, and the host waits.
    pub(crate) fn listen(&mut self, link: &mut Link) -> Result<()> {
        if matches!(self, Self::None) {
            return Ok(());
        }
        while self.flush()? {
            match (link.host_message()?, &mut *self) {
                (None, _) => break,
                (Some(HostMessage::Input(bytes)), Self::Piped { pending, .. }) => *pending = bytes,
                (Some(HostMessage::InputEnd), Self::Piped { pipe, .. }) => *pipe = None,
                (Some(HostMessage::Resize(size)), Self::Terminal(terminal)) => terminal.resize(size)?,
                // A program without a terminal has no size, and one with a terminal reads from it.
                (Some(_), _) => {}
            }
        }
        Ok(())
    }

    /// Whether all input so far has been passed on.
    fn flush(&mut self) -> Result<bool> {
        let Self::Piped { pipe, pending } = self else { return Ok(true) };
        while let Some(stdin) = pipe.as_mut().filter(|_| !pending.is_empty()) {
            match stdin.write(pending) {
                Ok(count) => drop(pending.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The program reads no more; what the host still sends is nobody's.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *pipe = None,
                Err(error) => return Err(error).context("cannot pass input to the program"),
            }
        }
        pending.clear();
        Ok(true)
    }

    /// Waits until the console has taken what the program wrote to it.
    pub(crate) fn finish(&self) -> Result<()> {
        if let Self::Terminal(terminal) = self { terminal.drain() } else { Ok(()) }
    }
}
