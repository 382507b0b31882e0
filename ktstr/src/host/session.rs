//! One machine from its start to its end, and everything that was seen of it.

use crate::guest::Outcome;
use crate::host::share::HostShare;
use crate::record::TimeSplit;
use ktstr_vmm::{Chosen, Exit, RamRegion, VcpuClock, Vm, VmConfig};
use ktstr_wire::control::FrameReader;
use ktstr_wire::message::{decode, encode};
use ktstr_wire::reserved::ReservedError;
use ktstr_wire::ring::{Consumer, RingError};
use ktstr_wire::{ExitStatus, GuestMessage, Hello, PROTOCOL_VERSION, Reserved, Run};
use std::fs::File;
use std::time::{Duration, Instant};

/// How often the host looks at what the guest has written, where looking is quick.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The host rests this many times as long as it looks: on a slow host with one CPU, looking keeps the guest from running.
const REST_PER_LOOK: u32 = 20;

/// But never longer than this: a host that stood still during a look would otherwise rest for minutes, and neither see
/// what the guest says nor keep a deadline.
const MAX_REST: Duration = Duration::from_millis(50);

/// A phase ends for good after this many times its limit on the host's clock.
const STANDSTILL: u32 = 6;

/// The most console text that is kept; a flood loses its middle, not its end.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// Why there was no machine to watch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The machine.
    #[error(transparent)]
    Vm(#[from] ktstr_vmm::Error),
    /// The reserved range.
    #[error("cannot lay out the reserved range: {0}")]
    Reserved(#[from] ReservedError),
    /// The ring to the guest.
    #[error("cannot give the guest its order: {0}")]
    Ring(#[from] RingError),
    /// The order does not fit the ring.
    #[error("cannot give the guest its order: its {bytes} bytes do not fit the ring")]
    OrderTooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// How long each phase may take, in host time. The test binary's own deadline is kept by the agent in guest time; the
/// host's is for a guest that keeps nothing any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) boot: Duration,
    pub(crate) ready: Duration,
    pub(crate) run: Duration,
    pub(crate) teardown: Duration,
}

/// What the guest is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Boot,
    Ready,
    Run,
    Teardown,
}

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    pub(crate) hello: Option<Hello>,
    pub(crate) started_ns: Option<u64>,
    pub(crate) exited: Option<(ExitStatus, u64)>,
    pub(crate) said_bye: bool,
    pub(crate) faults: Vec<String>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) output: Vec<u8>,
    pub(crate) console: Vec<u8>,
    /// Protocol breaches: a corrupt ring, strange messages, bytes on the control channel that are no frames.
    pub(crate) breaches: Vec<String>,
    pub(crate) dropped_frames: u32,
    pub(crate) exit: Option<Exit>,
    /// Why the machine could not be ended.
    pub(crate) not_ended: Option<String>,
    /// The phase whose deadline passed, and the deadline.
    pub(crate) overdue: Option<(Phase, Duration)>,
    pub(crate) vcpu_clocks: Vec<VcpuClock>,
    pub(crate) share: HostShare,
    pub(crate) time: TimeSplit,
}

/// Boots the machine with the payload and the order in place, and watches it until it is gone.
pub(crate) fn run(
    config: &VmConfig,
    payload: &mut File,
    payload_bytes: usize,
    order: &Run,
    deadlines: &Deadlines,
) -> Result<Observations, SessionError> {
    let made = Instant::now();
    let mut vm = Vm::new(config)?;
    let reserved = Reserved::format(vm.reserved()?)?;
    let ring = reserved.bulk_in()?;
    let real_time = config.accel == Chosen::Kvm;
    if real_time {
        // The guest boots meanwhile.
        vm.start()?;
        deliver(&reserved, payload, payload_bytes, order)?;
    } else {
        // What a guest with a clock of its own sees must not depend on when the host got round to it.
        deliver(&reserved, payload, payload_bytes, order)?;
        vm.start()?;
    }
    let mut session = Session {
        vm,
        frames: FrameReader::default(),
        ring: Some(ring),
        phase: Phase::Boot,
        phase_began: made,
        phase_began_run_ns: 0,
        clocks_at_hello: Vec::new(),
        real_time,
        seen: Observations::default(),
    };
    session.watch(deadlines)?;
    Ok(session.seen)
}

/// Puts the payload and then the order into the reserved range.
fn deliver(
    reserved: &Reserved<RamRegion>,
    payload: &mut File,
    payload_bytes: usize,
    order: &Run,
) -> Result<(), SessionError> {
    reserved.put_payload(payload, payload_bytes)?;
    let order = encode(order);
    if reserved.orders_out()?.push(&order) { Ok(()) } else { Err(SessionError::OrderTooLarge { bytes: order.len() }) }
}

struct Session {
    vm: Vm,
    frames: FrameReader,
    ring: Option<Consumer<RamRegion>>,
    phase: Phase,
    phase_began: Instant,
    phase_began_run_ns: u64,
    clocks_at_hello: Vec<VcpuClock>,
    /// Whether guest time goes on while the host does something else.
    real_time: bool,
    seen: Observations,
}

impl Session {
    fn watch(&mut self, deadlines: &Deadlines) -> Result<(), SessionError> {
        loop {
            let began = Instant::now();
            // Asked before looking: what the guest wrote last is then seen in this round.
            let exit = self.vm.exit();
            self.look()?;
            if exit.is_some() {
                self.seen.exit = exit;
                break;
            }
            let limit = match self.phase {
                Phase::Boot => deadlines.boot,
                Phase::Ready => deadlines.ready,
                Phase::Run => deadlines.run,
                Phase::Teardown => deadlines.teardown,
            };
            if self.is_overdue(limit) {
                self.seen.overdue = Some((self.phase, limit));
                break;
            }
            std::thread::sleep(rest_after(began.elapsed()));
        }
        self.end_phase();
        self.seen.not_ended = self.vm.stop().err().map(|error| error.to_string());
        let skipped = self.frames.skipped_bytes();
        if skipped > 0 {
            self.seen.breaches.push(format!("{skipped} bytes on COM2 belong to no message"));
        }
        Ok(())
    }

    /// Whether the current phase has had its time. Where guest time stands still while the host does something else,
    /// only the time counts that the guest's thread really ran, so that a loaded host changes no verdict; a thread that
    /// does not run at all is given up in the end.
    fn is_overdue(&self, limit: Duration) -> bool {
        let waited = self.phase_began.elapsed();
        if self.real_time || waited <= limit || waited > limit * STANDSTILL {
            return waited > limit;
        }
        Duration::from_nanos(run_ns(&self.vm.vcpu_clocks()).saturating_sub(self.phase_began_run_ns)) > limit
    }

    /// Takes in all that is new.
    fn look(&mut self) -> Result<(), SessionError> {
        let console = self.vm.read_console()?;
        append(&mut self.seen.console, &console);
        let control = self.vm.read_control()?;
        self.frames.push(&control);
        while let Some(frame) = self.frames.next_frame() {
            match decode(&frame) {
                Ok(message) => self.take(message),
                Err(error) => self.seen.breaches.push(format!("a frame on COM2 is {error}")),
            }
        }
        self.drain_ring();
        if self.phase == Phase::Run && self.seen.share.is_due() {
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
                self.seen.hello = Some(hello);
            }
            GuestMessage::Started { at_ns } => {
                self.enter(Phase::Run);
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
            GuestMessage::Output { bytes, .. } => append(&mut self.seen.output, &bytes),
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

    fn enter(&mut self, phase: Phase) {
        if phase != self.phase {
            self.end_phase();
            self.phase = phase;
        }
    }

    /// Books the time since the last change on the current phase.
    fn end_phase(&mut self) {
        let now = Instant::now();
        let spent_ms = now.duration_since(self.phase_began).as_secs_f64() * 1e3;
        self.phase_began = now;
        self.phase_began_run_ns = run_ns(&self.vm.vcpu_clocks());
        let time = &mut self.seen.time;
        match self.phase {
            Phase::Boot => time.boot_ms += spent_ms,
            Phase::Ready => time.ready_ms += spent_ms,
            Phase::Run => {
                time.run_ms += spent_ms;
                let clocks = self.vm.vcpu_clocks();
                self.seen.vcpu_clocks = since(&self.clocks_at_hello, &clocks);
                self.seen.share.add(clocks);
            }
            Phase::Teardown => time.teardown_ms += spent_ms,
        }
    }
}

/// How long to rest after a look.
fn rest_after(look: Duration) -> Duration {
    look.saturating_mul(REST_PER_LOOK).clamp(LOOK_EVERY, MAX_REST)
}

fn run_ns(clocks: &[VcpuClock]) -> u64 {
    clocks.iter().map(|clock| clock.run_ns).sum()
}

fn since(before: &[VcpuClock], after: &[VcpuClock]) -> Vec<VcpuClock> {
    let pairs = before.iter().zip(after);
    pairs
        .map(|(before, after)| VcpuClock {
            run_ns: after.run_ns.saturating_sub(before.run_ns),
            wait_ns: after.wait_ns.saturating_sub(before.wait_ns),
        })
        .collect()
}

/// Appends, within [`MAX_OUTPUT_BYTES`].
fn append(kept: &mut Vec<u8>, new: &[u8]) {
    kept.extend_from_slice(new);
    if kept.len() > MAX_OUTPUT_BYTES {
        let half = MAX_OUTPUT_BYTES / 2;
        kept.drain(half..kept.len() - half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_look_does_not_put_off_the_deadline() {
        assert_eq!(rest_after(Duration::ZERO), LOOK_EVERY);
        assert_eq!(rest_after(Duration::from_millis(2)), Duration::from_millis(40));
        assert_eq!(rest_after(Duration::from_secs(10)), MAX_REST);
        assert_eq!(rest_after(Duration::MAX), MAX_REST);
    }

    #[test]
    fn a_flood_keeps_its_ends() {
        let mut kept = b"first".to_vec();
        for _ in 0..10 {
            append(&mut kept, &vec![b'x'; MAX_OUTPUT_BYTES / 4]);
        }
        append(&mut kept, b"last");
        assert_eq!(kept.len(), MAX_OUTPUT_BYTES);
        assert!(kept.starts_with(b"first") && kept.ends_with(b"last"));
    }
}
