//! What the agent tells of a trace. All of it is the guest's word, and kept within bounds.

use super::schedulers::cut;
use ktstr_wire::trace::{TraceEnd, TraceEvent, TraceProbe};

/// The most probes and notes.
const MAX_PROBES: usize = 500;
const MAX_NOTES: usize = 50;

/// The most text. No agent sends more than it was ordered to.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    pub(crate) probes: Vec<TraceProbe>,
    pub(crate) notes: Vec<String>,
    text: Vec<u8>,
    pub(crate) end: Option<TraceEnd>,
}

/// An event that is not as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TraceError {
    /// Nothing may follow the end.
    #[error("the agent told something of a trace after its end")]
    Late,
    /// Too much came before it.
    #[error("the agent told more than {most} {what} of a trace; what came beyond that is left out")]
    TooMuch { most: usize, what: &'static str },
}

impl Traced {
    /// Takes in an event.
    pub(crate) fn take(&mut self, event: TraceEvent) -> Result<(), TraceError> {
        if self.end.is_some() {
            return Err(TraceError::Late);
        }
        match event {
            TraceEvent::Probe(mut probe) => {
                (probe.name, probe.error) = (cut(probe.name), probe.error.map(cut));
                push(&mut self.probes, probe, MAX_PROBES, "probes")
            }
            TraceEvent::Note(note) => push(&mut self.notes, cut(note), MAX_NOTES, "notes"),
            TraceEvent::Text(bytes) if self.text.len() + bytes.len() > MAX_TEXT_BYTES => {
                Err(TraceError::TooMuch { most: MAX_TEXT_BYTES, what: "bytes" })
            }
            TraceEvent::Text(bytes) => {
                self.text.extend(bytes);
                Ok(())
            }
            TraceEvent::Ended(end) => {
                self.end = Some(end);
                Ok(())
            }
        }
    }

    /// The text of the trace file.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

fn push<T>(all: &mut Vec<T>, one: T, most: usize, what: &'static str) -> Result<(), TraceError> {
    if all.len() >= most {
        return Err(TraceError::TooMuch { most, what });
    }
    all.push(one);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::trace::TraceProbeKind;

    fn text(length: usize) -> TraceEvent {
        TraceEvent::Text(vec![b'x'; length])
    }

    fn end() -> TraceEvent {
        TraceEvent::Ended(TraceEnd { at_ns: 1, stopped: true, lost_records: 0, left_out_bytes: 0 })
    }

    fn probe(name: &str) -> TraceEvent {
        let (kind, error) = (TraceProbeKind::Event, Some("why".to_owned()));
        TraceEvent::Probe(TraceProbe { kind, name: name.to_owned(), error })
    }

    fn check(events: impl IntoIterator<Item = TraceEvent>) -> (Traced, Vec<String>) {
        let mut traced = Traced::default();
        let wrong: Vec<_> = events.into_iter().filter_map(|event| traced.take(event).err()).collect();
        (traced, wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn pieces_make_a_text() {
        let (traced, wrong) = check([probe("a"), text(2), TraceEvent::Note("n".to_owned()), text(1), end()]);
        assert_eq!((traced.text().as_str(), wrong.len(), traced.probes.len()), ("xxx", 0, 1));
        assert_eq!((traced.notes.as_slice(), traced.end.is_some()), (["n".to_owned()].as_slice(), true));
        assert_eq!(check([end(), text(1)]).1, ["the agent told something of a trace after its end"]);
    }

    #[test]
    fn no_guest_tells_without_end() {
        let many = |event: TraceEvent, count| check(vec![event; count]);
        let (traced, wrong) = many(text(1 << 20), 20);
        assert_eq!((traced.text().len(), wrong.len()), (MAX_TEXT_BYTES, 4));
        let (traced, wrong) = many(probe(&"ü".repeat(1 << 20)), MAX_PROBES + 1);
        assert!(traced.probes.iter().all(|probe| probe.name.len() < 3000));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert_eq!(many(TraceEvent::Note(String::new()), MAX_NOTES + 2).1.len(), 2);
    }
}
