//! A QMP session (QEMU docs/interop/qmp-spec.rst): commands, and the events that arrive between them.
//!
//! The few commands that are needed here are spelled out. A crate with the whole schema took a fifth of the time that
//! building a test author's crate takes, and was the longest wait in it.

use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use vmm_sys_util::sock_ctrl_msg::ScmSocket;

/// QEMU answers within milliseconds; this is for a host that swaps.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// An open session.
#[derive(Debug)]
pub(crate) struct Session {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    events: Vec<Event>,
}

/// Something that QEMU told unasked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Event {
    /// Its name, such as `SHUTDOWN`.
    #[serde(rename = "event")]
    pub(crate) name: String,
    /// What it carries.
    #[serde(default)]
    pub(crate) data: Value,
}

/// One line of the other side.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Event(Event),
    Return {
        #[serde(rename = "return")]
        value: Value,
    },
    Error {
        error: ErrorBody,
    },
    Greeting {
        #[serde(rename = "QMP")]
        _qmp: Value,
    },
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    desc: String,
}

impl Session {
    /// Reads the greeting and leaves the negotiation mode.
    pub(crate) fn open(socket: UnixStream) -> io::Result<Self> {
        socket.set_read_timeout(Some(TIMEOUT))?;
        let mut session = Self { reader: BufReader::new(socket.try_clone()?), writer: socket, events: Vec::new() };
        match session.next_line()? {
            Some(Line::Greeting { .. }) => session.execute("qmp_capabilities", json!({})).map(|_| session),
            other => Err(io::Error::other(format!("no QMP greeting but {other:?}"))),
        }
    }

    /// Runs a command and gives what it returns.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        self.writer.write_all(&line(command, &arguments))?;
        self.answer()
    }

    /// Gives QEMU a descriptor, by which other commands name it.
    pub(crate) fn give(&mut self, name: &str, fd: RawFd) -> io::Result<()> {
        let bytes = line("getfd", &json!({ "fdname": name }));
        let sent = self.writer.send_with_fd(&bytes[..], fd)?;
        if sent != bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.answer().map(drop)
    }

    /// Whether an event of this name has arrived.
    pub(crate) fn has_heard(&mut self, name: &str) -> io::Result<bool> {
        while is_readable(&self.reader)? {
            match self.next_line()? {
                Some(Line::Event(event)) => self.events.push(event),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(self.events.iter().any(|event| event.name == name))
    }

    /// Forgets the events of this name.
    pub(crate) fn forget(&mut self, name: &str) {
        self.events.retain(|event| event.name != name);
    }

    fn answer(&mut self) -> io::Result<Value> {
        loop {
            match self.next_line()? {
                Some(Line::Return { value }) => return Ok(value),
                Some(Line::Error { error }) => return Err(io::Error::other(error.desc)),
                Some(Line::Event(event)) => self.events.push(event),
                Some(Line::Greeting { .. }) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// All events so far, once the other side has closed the socket.
    pub(crate) fn last_events(&mut self) -> &[Event] {
        while let Ok(Some(line)) = self.next_line() {
            if let Line::Event(event) = line {
                self.events.push(event);
            }
        }
        &self.events
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut text = String::new();
        if self.reader.read_line(&mut text).map_err(in_words)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }
}

/// An error of a socket that waits no longer than [`TIMEOUT`]. What the system says of a time-out is that it should be tried
/// again, as of a host that is short of something.
pub(super) fn in_words(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => {
            io::Error::new(io::ErrorKind::TimedOut, format!("QEMU does nothing for {} s", TIMEOUT.as_secs()))
        }
        _ => error,
    }
}

fn line(command: &str, arguments: &Value) -> Vec<u8> {
    format!("{}\n", json!({ "execute": command, "arguments": arguments })).into_bytes()
}

/// Whether a line has arrived, or its beginning; the other side writes whole ones.
fn is_readable(reader: &BufReader<UnixStream>) -> io::Result<bool> {
    if !reader.buffer().is_empty() {
        return Ok(true);
    }
    let mut look = libc::pollfd { fd: reader.get_ref().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: a system call on one structure that lives as long as the call, and a descriptor that is open.
    match unsafe { libc::poll(&raw mut look, 1, 0) } {
        ..0 => Err(io::Error::last_os_error()).or_else(not_if_interrupted),
        ready => Ok(ready > 0),
    }
}

fn not_if_interrupted(error: io::Error) -> io::Result<bool> {
    if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session with a peer that says `lines` whatever it is told.
    fn session(lines: &str) -> io::Result<Session> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(lines.as_bytes()).unwrap();
        // Only writing ends: what we send must still have a place to go.
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let session = Session::open(ours);
        drop(theirs);
        session
    }

    #[test]
    fn a_time_out_is_told() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let error = BufReader::new(ours).read_line(&mut String::new()).map_err(in_words).unwrap_err();
        assert_eq!(error.to_string(), "QEMU does nothing for 30 s");
    }

    const GREETING: &str = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n{\"return\": {}}\r\n";

    #[test]
    fn events_between_answers_are_kept() {
        let shutdown = r#"{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}, "timestamp": {}}"#;
        let mut session = session(&format!("{GREETING}{shutdown}\r\n")).unwrap();
        let events = session.last_events();
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].name.as_str(), &events[0].data["reason"]), ("SHUTDOWN", &json!("guest-reset")));
    }

    #[test]
    fn what_is_no_qmp_is_an_error() {
        for lines in
            ["", "hello\n", "{\"return\": {}}\n", "{\"QMP\": 1}\n{\"error\": {\"class\": \"x\", \"desc\": \"no\"}}\n"]
        {
            assert!(session(lines).is_err(), "{lines}");
        }
    }
}
