//! What the machine says: its console, its control channel, its ring.

use super::{Session, SessionError};
use crate::host::phases::Phase;
use ktstr_wire::message::decode;
use ktstr_wire::{GuestMessage, PROTOCOL_VERSION};

impl Session {
    /// Takes in all that is new.
    pub(super) fn look(&mut self) -> Result<(), SessionError> {
        let console = self.vm.read_console()?;
        self.console.take(&console, self.made.elapsed());
        let control = self.vm.read_control()?;
        self.frames.push(&control);
        while let Some(frame) = self.frames.next_frame() {
            match decode(&frame) {
                Ok(message) => self.take(message),
                Err(error) => self.seen.breaches.push(format!("a frame on COM2 is {error}")),
            }
        }
        self.drain_ring();
        if self.clock.phase() == Phase::Scenario && self.seen.share.is_due() {
            let clocks = self.vm.vcpu_clocks();
            self.seen.share.add(clocks);
        }
        Ok(())
    }

    fn drain_ring(&mut self) {
        while let Some(ring) = &mut self.ring {
            let popped = ring.pop();
            self.seen.dropped_frames = ring.dropped();
            match popped {
                Ok(None) => return,
                Ok(Some(frame)) => match decode(&frame) {
                    Ok(message) => self.take(message),
                    Err(error) => self.seen.breaches.push(format!("a frame in the ring is {error}")),
                },
                Err(error) => {
                    self.seen.breaches.push(error.to_string());
                    self.ring = None;
                }
            }
        }
    }

    fn take(&mut self, message: GuestMessage) {
        match message {
            GuestMessage::Hello(hello) if hello.protocol != PROTOCOL_VERSION => {
                let found = hello.protocol;
                self.seen.breaches.push(format!("the agent speaks protocol {found}, not {PROTOCOL_VERSION}"));
            }
            GuestMessage::Hello(hello) => {
                self.enter(Phase::Ready);
                self.clocks_at_hello = self.vm.vcpu_clocks();
                self.seen.slowdown = self.clock.measure(hello.at_ns, &self.clocks_at_hello);
                self.seen.hello = Some(hello);
            }
            GuestMessage::Started { at_ns } => {
                self.enter(Phase::Scenario);
                if self.real_time {
                    self.seen.share.begin(at_ns);
                }
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
            GuestMessage::Report(frame) => self.take_report(&frame),
            GuestMessage::Fault(what) => self.seen.faults.push(what),
        }
    }

    fn take_report(&mut self, frame: &[u8]) {
        match serde_json::from_slice(frame) {
            Ok(outcome) if self.seen.outcome.is_none() => self.seen.outcome = Some(outcome),
            Ok(_) => self.seen.breaches.push("the test reported more than one outcome".to_owned()),
            Err(error) => self.seen.breaches.push(format!("the test's report cannot be understood: {error}")),
        }
    }
}
