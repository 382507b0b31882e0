//! What is typed into COM1: a pipe that QEMU inherits, and reads from once something is typed.
//!
//! A thread fills the pipe, for it blocks while the guest takes nothing. The thread ends with QEMU, when the pipe has no
//! reader any more.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// The writing end.
pub(super) struct Input {
    /// The reading end's number in QEMU.
    guest_fd: RawFd,
    state: State,
}

enum State {
    /// Nothing has been typed yet.
    Idle(PipeWriter),
    /// A thread has the pipe.
    Typing(mpsc::Sender<Vec<u8>>, JoinHandle<()>),
    /// It could not be started, or is to end.
    Over,
}

impl Input {
    /// A pipe; the reading end is for QEMU to inherit, and to be closed here.
    pub(super) fn new() -> io::Result<(Self, PipeReader)> {
        let (guest_end, host_end) = io::pipe()?;
        Ok((Self { guest_fd: guest_end.as_raw_fd(), state: State::Idle(host_end) }, guest_end))
    }

    /// Leaves the bytes to the thread. Before the first ones `connect` lets QEMU read from the descriptor of this number.
    pub(super) fn send(&mut self, bytes: &[u8], connect: impl FnOnce(RawFd) -> io::Result<()>) -> io::Result<()> {
        if matches!(self.state, State::Idle(_)) {
            connect(self.guest_fd)?;
            if let State::Idle(pipe) = std::mem::replace(&mut self.state, State::Over) {
                self.state = start(pipe)?;
            }
        }
        let State::Typing(typist, _) = &self.state else { return Err(io::ErrorKind::BrokenPipe.into()) };
        typist.send(bytes.to_owned()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if let State::Typing(typist, thread) = std::mem::replace(&mut self.state, State::Over) {
            drop(typist);
            let _ = thread.join();
        }
    }
}

fn start(mut pipe: PipeWriter) -> io::Result<State> {
    let (sender, receiver) = mpsc::channel::<Vec<u8>>();
    let body = move || {
        for bytes in receiver {
            // QEMU is gone, and its guest with it.
            let Ok(()) = pipe.write_all(&bytes) else { return };
        }
    };
    let thread = std::thread::Builder::new().name("qemu-typist".into()).spawn(body)?;
    Ok(State::Typing(sender, thread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn any_number_of_bytes_waits_for_its_reader() {
        let (mut input, mut guest_end) = Input::new().unwrap();
        let bytes: Vec<u8> = (0..1 << 20).map(|number: u32| (number / 251) as u8).collect();
        let mut connected = 0;
        for piece in bytes.chunks(100_000) {
            let connect = |fd| {
                assert_eq!(fd, guest_end.as_raw_fd());
                connected += 1;
                Ok(())
            };
            input.send(piece, connect).unwrap();
        }
        let end = std::thread::spawn(move || drop(input));
        let mut got = Vec::new();
        guest_end.read_to_end(&mut got).unwrap();
        end.join().unwrap();
        assert!(got == bytes);
        assert_eq!(connected, 1);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (mut input, guest_end) = Input::new().unwrap();
        assert!(input.send(b"x", |_| Err(io::ErrorKind::NotConnected.into())).is_err());
        input.send(b"x", |_| Ok(())).unwrap();
        drop(guest_end);
        let unused = |_| unreachable!("it is connected");
        while input.send(b"x", unused).is_ok() {
            std::thread::yield_now();
        }
    }
}
