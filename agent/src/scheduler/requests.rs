//! What the program under test asks for, and the answers.

use anyhow::{Context, Result};
use ktstr_wire::frames::{self, frame};
use ktstr_wire::message::{decode, encode};
use ktstr_wire::scheduler::{MAX_REQUEST_BYTES, SchedulerReply, SchedulerRequest};
use rustix::event::{PollFd, PollFlags};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// The agent's end of the socket. One request is answered before the next one is read.
pub(super) struct Requests {
    /// `None` once the program has closed its end, or wrote what is no request.
    socket: Option<UnixStream>,
    received: Vec<u8>,
    is_serving: bool,
}

impl Requests {
    /// Also the program's end.
    pub(super) fn pair() -> Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair().context("cannot make a socket for the program's requests")?;
        ours.set_nonblocking(true).context("cannot make a socket not wait")?;
        Ok((Self { socket: Some(ours), received: Vec::new(), is_serving: false }, theirs.into()))
    }

    /// What tells that there is a request, unless the last one is not answered.
    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let socket = self.socket.iter().filter(|_| !self.is_serving);
        fds.extend(socket.map(|socket| PollFd::new(socket, PollFlags::IN)));
    }

    /// The next request, if there is one; it is to be answered.
    pub(super) fn next(&mut self) -> Option<SchedulerRequest> {
        if self.is_serving {
            return None;
        }
        self.receive();
        match take_frame(&mut self.received) {
            Ok(None) => None,
            Ok(Some(request)) => {
                self.is_serving = true;
                Some(request)
            }
            Err(why) => {
                self.answer(SchedulerReply::Failed(format!("the agent cannot read the request: {why}")));
                self.close();
                None
            }
        }
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_serving(&self) -> bool {
        self.is_serving
    }

    /// Answers the last request.
    pub(super) fn answer(&mut self, reply: SchedulerReply) {
        self.is_serving = false;
        let frame = frame(&encode(&reply));
        // One answer at a time fits the socket, unless the program is gone or does not read any.
        if self.socket.as_mut().is_some_and(|socket| socket.write_all(&frame).is_err()) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.socket = None;
        self.received.clear();
    }

    fn receive(&mut self) {
        let mut bytes = [0; 4096];
        while let Some(socket) = self.socket.as_mut().filter(|_| self.received.len() < 4 + MAX_REQUEST_BYTES) {
            match socket.read(&mut bytes) {
                Ok(count) if count > 0 => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // What has come whole is still served.
                Ok(_) | Err(_) => self.socket = None,
            }
        }
    }
}

/// The first frame of what has been received, if it is whole.
fn take_frame(received: &mut Vec<u8>) -> Result<Option<SchedulerRequest>, String> {
    let frame = frames::take(received, MAX_REQUEST_BYTES)
        .map_err(|length| format!("it has {length} bytes, more than the {MAX_REQUEST_BYTES} allowed"))?;
    frame.map(|frame| decode(&frame).map_err(|error| error.to_string())).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_reply(socket: &mut UnixStream) -> SchedulerReply {
        let mut length = [0; 4];
        socket.read_exact(&mut length).unwrap();
        let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
        socket.read_exact(&mut bytes).unwrap();
        decode(&bytes).unwrap()
    }

    fn pair() -> (Requests, UnixStream) {
        let (requests, theirs) = Requests::pair().unwrap();
        (requests, theirs.into())
    }

    #[test]
    fn one_request_is_answered_before_the_next() {
        let (mut requests, mut theirs) = pair();
        assert_eq!(requests.next(), None);
        let both = [frame(&encode(&SchedulerRequest::Switch(3))), frame(&encode(&SchedulerRequest::Stop))].concat();
        theirs.write_all(&both[..7]).unwrap();
        assert_eq!(requests.next(), Some(SchedulerRequest::Switch(3)));
        theirs.write_all(&both[7..]).unwrap();
        assert_eq!(requests.next(), None);
        requests.answer(SchedulerReply::Done { pid: Some(7) });
        assert_eq!(read_reply(&mut theirs), SchedulerReply::Done { pid: Some(7) });
        drop(theirs);
        assert_eq!(requests.next(), Some(SchedulerRequest::Stop));
        requests.answer(SchedulerReply::Done { pid: None });
        assert_eq!(requests.next(), None);
        let mut fds = Vec::new();
        requests.watch(&mut fds);
        assert!(fds.is_empty(), "a closed socket is not waited for");
    }

    #[test]
    fn what_is_no_request_is_answered_and_ends_it() {
        for (bytes, why) in [(vec![0xff; 8], "more than the 65536 allowed"), (frame(&[9; 4]), "not a message")] {
            let (mut requests, mut theirs) = pair();
            theirs.write_all(&bytes).unwrap();
            assert_eq!(requests.next(), None);
            let reply = read_reply(&mut theirs);
            assert!(matches!(&reply, SchedulerReply::Failed(said) if said.contains(why)), "{reply:?}");
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        }
    }
}
