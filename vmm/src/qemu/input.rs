//! What is typed into COM1: a pipe that QEMU inherits, and reads from once something is typed.
//!
//! A thread fills the pipe, for it blocks while the guest takes nothing. The thread ends with QEMU, when the pipe has no
//! reader any more.

use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a UART that has room for what is typed is waited for, on a host that is busy.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

const LOOK_EVERY: Duration = Duration::from_micros(100);

/// What the thread is to do.
enum Order {
    Type(Vec<u8>),
    /// To tell when QEMU has taken all from the pipe.
    TellWhenTaken(mpsc::Sender<()>),
}

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
    Typing(mpsc::Sender<Order>, JoinHandle<()>),
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
        typist.send(Order::Type(bytes.to_owned())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits until QEMU has given the guest's UART all that was sent, which it can of a UART whose buffer the guest empties;
    /// not for long.
    pub(super) fn wait_until_taken(&self) {
        let State::Typing(typist, _) = &self.state else { return };
        let (tell, told) = mpsc::channel();
        if typist.send(Order::TellWhenTaken(tell)).is_ok() {
            let _ = told.recv_timeout(TAKEN_WITHIN);
        }
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
    let (sender, receiver) = mpsc::channel();
    let body = move || {
        for order in receiver {
            match order {
                // Where that fails QEMU is gone, and its guest with it.
                Order::Type(bytes) => {
                    let Ok(()) = pipe.write_all(&bytes) else { return };
                }
                Order::TellWhenTaken(tell) => {
                    if wait_until_empty(&pipe) {
                        let _ = tell.send(());
                    }
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("qemu-typist".into()).spawn(body)?;
    Ok(State::Typing(sender, thread))
}

/// Whether all has been read from the pipe within [`TAKEN_WITHIN`].
fn wait_until_empty(pipe: &PipeWriter) -> bool {
    let began = Instant::now();
    while unread(pipe) > 0 {
        if began.elapsed() > TAKEN_WITHIN {
            return false;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    true
}

/// How many bytes are in the pipe.
fn unread(pipe: &impl AsRawFd) -> libc::c_int {
    let mut bytes = 0;
    // SAFETY: the call writes one integer, which lives as long as the call; it cannot fail on a pipe (pipe(7)).
    unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    bytes
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
    fn what_is_typed_is_waited_for_until_it_is_taken() {
        let (mut input, mut guest_end) = Input::new().unwrap();
        let look = guest_end.try_clone().unwrap();
        input.send(b"x", |_| Ok(())).unwrap();
        // Nobody takes it: that is not waited for for ever.
        input.wait_until_taken();
        assert_eq!(unread(&look), 1);
        let reader = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            guest_end.read_exact(&mut [0]).unwrap();
        });
        input.wait_until_taken();
        assert_eq!(unread(&look), 0);
        reader.join().unwrap();
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
