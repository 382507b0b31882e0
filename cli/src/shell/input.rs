//! Standard input, read by a thread of its own.

use anyhow::{Context, Result};
use ktstr_wire::message::MAX_INPUT_BYTES;
use std::io::{ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Pieces that may wait for the guest.
const PIECES: usize = 4;

/// What has been read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// There is no more.
    End,
}

/// The thread's other end.
pub(super) struct Input(Receiver<Piece>);

impl Input {
    /// Starts reading. The thread ends at the end of the input, else with the process: nothing can wake it.
    pub(super) fn read() -> Result<Self> {
        let (sender, receiver) = sync_channel(PIECES);
        let body = move || {
            let mut bytes = vec![0; MAX_INPUT_BYTES];
            loop {
                let piece = match std::io::stdin().read(&mut bytes) {
                    Ok(count) if count > 0 => Piece::Bytes(bytes[..count].to_owned()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    // A terminal that has hung up says so in an error.
                    Ok(_) | Err(_) => Piece::End,
                };
                let is_last = piece == Piece::End;
                if sender.send(piece).is_err() || is_last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("input".into()).spawn(body).context("cannot start a thread")?;
        Ok(Self(receiver))
    }

    /// Waits for the next piece, but not longer than this.
    pub(super) fn wait(&self, limit: Duration) -> Option<Piece> {
        match self.0.recv_timeout(limit) {
            Ok(piece) => Some(piece),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(limit);
                None
            }
        }
    }
}
