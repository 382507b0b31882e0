//! A trace of the kernel while schedulers run: set up before the first one starts, told when the last one has ended, and
//! taken back. What cannot be set up is told, and the rest is done.

mod instance;
mod probes;
mod programs;
mod tail;

use crate::link::Link;
use crate::now_ns;
use anyhow::Result;
use instance::Instance;
use ktstr_wire::GuestMessage;
use ktstr_wire::trace::{MAX_TEXT_BYTES, TraceEnd, TraceEvent, TraceOrder, TraceProbe, TraceProbeKind, TraceStop};
use probes::Probes;
use programs::Programs;

/// Records as long as it is there.
pub(crate) struct Trace {
    instance: Instance,
    probes: Probes,
    /// Where these are wanted.
    programs: Option<Programs>,
    most_text_bytes: usize,
}

impl Trace {
    /// Begins to record; `None` where the kernel lets nobody.
    ///
    /// # Errors
    /// When the host cannot be told of it.
    pub(crate) fn begin(order: &TraceOrder, link: &mut Link) -> Result<Option<Self>> {
        let instance = match Instance::make(order.ring_bytes) {
            Ok(instance) => instance,
            Err(error) => {
                tell(link, TraceEvent::Note(format!("nothing is traced: {error:#}")))?;
                return Ok(None);
            }
        };
        let most_text_bytes = usize::try_from(order.most_text_bytes).unwrap_or(usize::MAX);
        let programs = order.programs.then(Programs::default);
        let mut trace = Self { instance, probes: Probes::default(), programs, most_text_bytes };
        // What ends the trace comes first: nothing is recorded that should have ended it.
        for name in &order.functions {
            let made = trace.probes.add(name);
            tell_probe(link, TraceProbeKind::Function, name, &made)?;
        }
        trace.stop_at(&order.stops, link)?;
        for name in &order.events {
            let enabled = trace.instance.enable(name);
            tell_probe(link, TraceProbeKind::Event, name, &enabled)?;
        }
        for group in
            [(!trace.probes.are_none()).then_some(probes::GROUP), trace.programs.as_ref().map(|_| programs::EVENT)]
        {
            let enabled = group.map_or(Ok(()), |group| trace.instance.enable(group));
            if let Err(error) = enabled {
                tell(link, TraceEvent::Note(format!("{error:#}")))?;
            }
        }
        Ok(Some(trace))
    }

    /// Goes with the scheduler that runs, if one is enabled.
    ///
    /// # Errors
    /// When the host cannot be told of it.
    pub(crate) fn follow(&mut self, is_enabled: bool, link: &mut Link) -> Result<()> {
        self.programs.as_mut().map_or(Ok(()), |programs| programs.follow(is_enabled, link))
    }

    /// The first of them that there is ends the trace.
    fn stop_at(&self, stops: &[TraceStop], link: &mut Link) -> Result<()> {
        let mut errors = Vec::new();
        for stop in stops {
            let event = self.probes.event(&stop.event).unwrap_or_else(|| stop.event.clone());
            match self.instance.stop_at(&event, &stop.when) {
                Ok(()) => return Ok(()),
                Err(error) => errors.push(format!("{error:#}")),
            }
        }
        let why = errors.join("; ");
        tell(link, TraceEvent::Note(format!("nothing ends the trace when the scheduler fails, so it goes on: {why}")))
    }

    /// Tells what has been recorded, and takes everything back.
    ///
    /// # Errors
    /// When the host cannot be told.
    pub(crate) fn end(mut self, link: &mut Link) -> Result<()> {
        let stopped = self.instance.stop();
        self.follow(false, link)?;
        let mut complaints: Vec<String> =
            stopped.as_ref().err().map(|error| format!("{error:#}")).into_iter().collect();
        let text = self.instance.text(self.most_text_bytes);
        let lost_records = self.instance.lost_records();
        complaints.extend(text.as_ref().err().map(|error| format!("{error:#}")));
        complaints.extend(self.instance.remove().err().map(|error| format!("{error:#}")));
        complaints.extend(self.probes.remove().into_iter().map(|error| format!("{error:#}")));
        for complaint in complaints {
            tell(link, TraceEvent::Note(complaint))?;
        }
        let text = text.unwrap_or_default();
        for piece in text.bytes.chunks(MAX_TEXT_BYTES) {
            tell(link, TraceEvent::Text(piece.to_vec()))?;
        }
        let (stopped, left_out_bytes) = (stopped.unwrap_or(false), text.left_out_bytes);
        tell(link, TraceEvent::Ended(TraceEnd { at_ns: now_ns(), stopped, lost_records, left_out_bytes }))
    }
}

fn tell_probe<T>(link: &mut Link, kind: TraceProbeKind, name: &str, made: &Result<T>) -> Result<()> {
    let error = made.as_ref().err().map(|error| format!("{error:#}"));
    tell(link, TraceEvent::Probe(TraceProbe { kind, name: name.to_owned(), error }))
}

fn tell(link: &mut Link, event: TraceEvent) -> Result<()> {
    link.send(&GuestMessage::Trace(event))
}
