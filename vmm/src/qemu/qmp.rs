//! A QMP session (QEMU docs/interop/qmp-spec.rst): commands, and the events that arrive between them.
//!
//! The few commands that are needed here are spelled out. A crate with the whole schema took a fifth of the time that
//! building a test author's crate takes, and was the longest wait in it.

use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// QEMU answers within milliseconds; this is for a host that swaps.
const TIMEOUT: Duration = Duration::from_secs(30);

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
        writeln!(self.writer, "{}", json!({ "execute": command, "arguments": arguments }))?;
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
        if self.reader.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }
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
