//! One machine from its start to its end, and everything that was seen of it.

mod ask;
mod begin;
mod listen;
mod reports;
mod schedulers;
mod trace;

pub(crate) use ask::Asked;
pub(crate) use begin::Errand;
pub(crate) use reports::Reports;
pub(crate) use schedulers::Schedulers;
pub(crate) use trace::Traced;

use crate::host::console::{Console, Ends, Log};
use crate::host::observations::Observations;
use crate::host::phases::{Deadlines, Phase, PhaseClock};
use crate::host::schedule::Watch;
use crate::host::snapshots::Place;
use begin::{Moment, Waiting, deliver};
use ktstr_vmm::{Chosen, RamRegion, VcpuClock, Vm, VmConfig};
use ktstr_wire::control::FrameReader;
use ktstr_wire::reserved::ReservedError;
use ktstr_wire::ring::{Consumer, RingError};
use std::time::{Duration, Instant};

/// How often the host looks at what the guest has written, where looking is quick.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The host rests this many times as long as it looks: on a slow host with one CPU, looking keeps the guest from running.
const REST_PER_LOOK: u32 = 20;

/// But never longer than this: a host that stood still during a look would otherwise rest for minutes, and neither see
/// what the guest says nor keep a deadline.
const MAX_REST: Duration = Duration::from_millis(50);

/// The most of the test binary's output that is kept.
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

/// Makes the machine, has it do its errand, and watches it until it is gone. `place` is where machines like it are kept.
pub(crate) fn run(
    config: &VmConfig,
    place: Option<&Place<'_>>,
    watch: Option<&Watch>,
    mut errand: Errand<'_>,
    deadlines: &Deadlines,
    log: Log,
) -> Result<Observations, SessionError> {
    let made = Instant::now();
    let (mut vm, boot, reserved) = begin::machine(config, place)?;
    if let Some(watch) = watch {
        watch.set(&mut vm)?;
    }
    let moment = begin::moment(&mut vm, &boot, config.accel, place.is_some());
    if moment == Moment::First {
        deliver(&mut errand, &reserved)?;
    }
    vm.start()?;
    if moment == Moment::Meanwhile {
        deliver(&mut errand, &reserved)?;
    }
    let (ring, waiting) = match moment {
        Moment::Frozen => (None, Some(Waiting::new(errand, reserved, place))),
        Moment::First | Moment::Meanwhile => (Some(reserved.bulk_in()?), None),
    };
    let placement = vm.placement().cloned();
    let mut session = Session {
        vm,
        waiting,
        frames: FrameReader::default(),
        ring,
        made,
        clock: PhaseClock::new(config.accel, made),
        console: Console::new(log),
        output: Ends::new(MAX_OUTPUT_BYTES),
        reports: Reports::default(),
        schedulers: Schedulers::default(),
        clocks_at_hello: Vec::new(),
        real_time: config.accel == Chosen::Kvm,
        seen: Observations { boot, placement, ..Observations::default() },
    };
    session.watch(deadlines)?;
    Ok(session.end())
}

struct Session<'a> {
    vm: Vm,
    /// What the machine is to do, until it stands still.
    waiting: Option<Waiting<'a>>,
    frames: FrameReader,
    ring: Option<Consumer<RamRegion>>,
    made: Instant,
    clock: PhaseClock,
    console: Console,
    output: Ends,
    reports: Reports,
    schedulers: Schedulers,
    clocks_at_hello: Vec<VcpuClock>,
    /// Whether guest time goes on while the host does something else.
    real_time: bool,
    seen: Observations,
}

impl Session<'_> {
    fn watch(&mut self, deadlines: &Deadlines) -> Result<(), SessionError> {
        loop {
            let began = Instant::now();
            self.clock.tick(began);
            // Asked before looking: what the guest wrote last is then seen in this round.
            let exit = self.vm.exit();
            let news = self.look()?;
            if exit.is_none() {
                self.begin_if_frozen()?;
            }
            if exit.is_some() {
                self.look_to_the_end()?;
                self.seen.exit = exit;
                break;
            }
            if let Some(overdue) = self.clock.overdue(deadlines, &mut self.vm) {
                self.seen.overdue = Some(overdue);
                self.seen.asked = Some(self.ask()?);
                break;
            }
            if !news.is_a_flood() {
                std::thread::sleep(rest_after(began.elapsed()));
            }
        }
        self.enter(Phase::Teardown);
        self.book(Phase::Teardown);
        self.seen.not_ended = self.vm.stop().err().map(|error| error.to_string());
        let skipped = self.frames.skipped_bytes();
        if skipped > 0 {
            self.seen.breaches.push(format!("{skipped} bytes on COM2 belong to no message"));
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) {
        if phase != self.clock.phase() {
            self.book(phase);
        }
    }

    /// Goes on to `next` and books the time since the last change on the phase that it ends.
    fn book(&mut self, next: Phase) {
        let ended = self.clock.phase();
        let clocks = self.vm.vcpu_clocks();
        let spent_ms = self.clock.enter(next, clocks.clone()).as_secs_f64() * 1e3;
        let time = &mut self.seen.time;
        match ended {
            Phase::Boot => (time.boot_ms, time.up_ms) = (time.boot_ms + spent_ms, spent_ms),
            Phase::Hello => time.boot_ms += spent_ms,
            Phase::Ready => time.ready_ms += spent_ms,
            Phase::Scenario => {
                time.run_ms += spent_ms;
                self.seen.vcpu_clocks = since(&self.clocks_at_hello, &clocks);
            }
            Phase::Teardown => time.teardown_ms += spent_ms,
        }
        if self.real_time {
            self.seen.share.add(clocks);
        }
    }

    /// What was seen, once the machine is gone.
    fn end(self) -> Observations {
        Observations {
            console: self.console.end(),
            output: self.output.into_text(),
            schedulers: self.schedulers.into_runs(),
            stimuli: self.reports.stimuli,
            outcome: self.reports.outcome,
            lacks: self.vm.lacks().map(str::to_owned),
            ..self.seen
        }
    }
}

/// How long to rest after a look.
fn rest_after(look: Duration) -> Duration {
    look.saturating_mul(REST_PER_LOOK).clamp(LOOK_EVERY, MAX_REST)
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
}
