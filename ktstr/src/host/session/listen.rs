//! What the machine says: its console, its control channel, its ring.

use super::{Session, SessionError};
use crate::host::phases::Phase;
use crate::record::BootPart;
use ktstr_wire::message::decode;
use ktstr_wire::{GuestMessage, PROTOCOL_VERSION};

/// The most remarks of one kind that are kept: a guest may say strange things without end.
const MAX_REMARKS: usize = 20;
const LAST_REMARK: usize = MAX_REMARKS - 1;

/// More than a healthy guest says between two looks.
const FLOOD_BYTES: usize = 256 << 10;

/// How much a look has brought.
#[derive(Debug, Clone, Copy)]
pub(super) struct News {
    pub(super) console_bytes: usize,
    control_bytes: usize,
}

impl News {
    pub(super) fn is_any(self) -> bool {
        self.console_bytes + self.control_bytes > 0
    }

    /// So much that resting would leave the host behind.
    pub(super) fn is_a_flood(self) -> bool {
        self.console_bytes >= FLOOD_BYTES
    }
}

impl Session<'_> {
    /// Takes in what is new, of the console and the control channel within what one read gives.
    pub(super) fn look(&mut self) -> Result<News, SessionError> {
        let console = self.vm.read_console()?;
        self.console.take(&console, self.made.elapsed());
        let control = self.vm.read_control()?;
        self.frames.push(&control);
        while let Some(frame) = self.frames.next_frame() {
            match decode(&frame) {
                Ok(message) => self.take(message),
                Err(error) => note(&mut self.seen.breaches, format!("a frame on COM2 is {error}")),
            }
        }
        self.drain_ring();
        if self.real_time && self.seen.share.is_due() {
            let clocks = self.vm.vcpu_clocks();
            self.seen.share.add(clocks);
        }
        Ok(News { console_bytes: console.len(), control_bytes: control.len() })
    }

    /// Takes in all that is left, once the guest is gone.
    pub(super) fn look_to_the_end(&mut self) -> Result<(), SessionError> {
        while self.look()?.is_any() {}
        for (bytes, port) in self.vm.skipped_bytes().into_iter().zip(["COM1", "COM2"]) {
            if bytes > 0 {
                self.seen.breaches.push(format!("{bytes} bytes on {port} came faster than the host could read"));
            }
        }
        Ok(())
    }

    /// Takes in what is in the ring now. After the first thing that does not belong there nothing in it is believed.
    fn drain_ring(&mut self) {
        let Some(mut ring) = self.ring.take() else { return };
        let mut stray = None;
        let drained = ring.drain(|frame| stray = stray.take().or_else(|| self.take_bulk(frame)));
        self.seen.dropped_frames = ring.dropped();
        match stray.or(drained.err().map(|error| error.to_string())) {
            Some(breach) => note(&mut self.seen.breaches, breach),
            None => self.ring = Some(ring),
        }
    }

    /// Takes in a frame of the ring; tells what is wrong with it.
    fn take_bulk(&mut self, frame: &[u8]) -> Option<String> {
        match decode(frame) {
            Ok(
                message @ (GuestMessage::Machine(_)
                | GuestMessage::Output { .. }
                | GuestMessage::Report(_)
                | GuestMessage::Scheduler(_)
                | GuestMessage::Trace(_)),
            ) => {
                self.take(message);
            }
            Ok(_) => return Some("a message that belongs on COM2 is in the ring".to_owned()),
            Err(error) => return Some(format!("a frame in the ring is {error}")),
        }
        None
    }

    fn take(&mut self, message: GuestMessage) {
        match message {
            GuestMessage::Up { at_ns } => {
                self.enter(Phase::Hello);
                self.seen.share.guest_has(at_ns);
                match self.seen.boot {
                    BootPart::Forked => self.clock.cannot_measure(),
                    _ => self.seen.slowdown = self.clock.measure(at_ns, &self.vm.vcpu_clocks()),
                }
            }
            GuestMessage::Hello(hello) if hello.protocol != PROTOCOL_VERSION => {
                let found = hello.protocol;
                let what = format!("the agent speaks protocol {found}, not {PROTOCOL_VERSION}");
                note(&mut self.seen.breaches, what);
            }
            GuestMessage::Hello(hello) => {
                self.enter(Phase::Ready);
                self.clocks_at_hello = self.vm.vcpu_clocks();
                self.seen.hello = Some(hello);
            }
            GuestMessage::Started { at_ns } => {
                self.enter(Phase::Scenario);
                self.clock.scenario_begins(at_ns);
                self.seen.share.guest_has(at_ns);
                self.seen.started_ns = Some(at_ns);
            }
            GuestMessage::Exited { status, at_ns } => {
                // Everything that the program said was in the ring before this was sent.
                self.drain_ring();
                self.enter(Phase::Teardown);
                self.seen.exited = Some((status, at_ns));
            }
            GuestMessage::Bye { .. } => {
                self.enter(Phase::Teardown);
                self.seen.said_bye = true;
            }
            GuestMessage::Machine(machine) => self.seen.machine = Some(machine),
            GuestMessage::Output { bytes, .. } => self.output.push(&bytes),
            GuestMessage::Report(frame) => {
                let taken = self.reports.take(&frame);
                taken.unwrap_or_else(|error| note(&mut self.seen.breaches, error.to_string()));
            }
            GuestMessage::Scheduler(event) => {
                let taken = self.schedulers.take(event);
                taken.unwrap_or_else(|error| note(&mut self.seen.breaches, error.to_string()));
            }
            GuestMessage::Trace(event) => {
                let taken = self.seen.trace.take(event);
                taken.unwrap_or_else(|error| note(&mut self.seen.breaches, error.to_string()));
            }
            GuestMessage::Fault(what) => note(&mut self.seen.faults, what),
        }
    }
}

/// Adds a remark, within [`MAX_REMARKS`].
fn note(remarks: &mut Vec<String>, what: String) {
    match remarks.len() {
        MAX_REMARKS.. => {}
        LAST_REMARK => remarks.push("and more of that".to_owned()),
        _ => remarks.push(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_remarks_are_cut() {
        let mut remarks = Vec::new();
        (0..1000).for_each(|number: u32| note(&mut remarks, number.to_string()));
        assert_eq!(remarks.len(), MAX_REMARKS);
        assert_eq!((remarks[0].as_str(), remarks[LAST_REMARK].as_str()), ("0", "and more of that"));
    }
}
