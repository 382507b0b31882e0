//! The phases of a run, and how long each may take.

use ktstr_vmm::{Chosen, VcpuClock};
use std::time::{Duration, Instant};

/// What a machine is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Until the agent's hello.
    Boot,
    /// Until the test binary is started.
    Ready,
    /// Until it has ended.
    Scenario,
    /// Until the machine is gone.
    Teardown,
}

/// How long each phase may take. The test binary's own deadline is kept by the agent in guest time; these are for a guest
/// that keeps nothing any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// Host time.
    pub(crate) boot: Duration,
    /// Host time where the accelerator is as fast as the guest's clock.
    pub(crate) ready: Duration,
    /// Guest time, with what the agent needs to end the test binary itself.
    pub(crate) scenario: Duration,
    /// As `ready`.
    pub(crate) teardown: Duration,
}

/// A second of guest time may take so many times as long as it did until hello: under emulation a guest that spins with
/// PAUSE leaves the translated code each time.
const SLOWEST_EMULATION: u32 = 20;

/// A phase ends for good after this many times its limit on the host's clock.
const STANDSTILL: u32 = 6;

/// An emulating thread that for this long neither runs nor waits for a CPU has nothing left to do.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// A round of watching counts for no more than this: what is beyond, the host stood still, and the guest with it.
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// The current phase and the time that it had.
#[derive(Debug)]
pub(crate) struct PhaseClock {
    accel: Chosen,
    phase: Phase,
    began: Instant,
    clocks_at_start: Vec<VcpuClock>,
    last_round: Instant,
    /// Host time since the phase began, without standstills.
    watched: Duration,
    /// Host time for a second of guest time, one at least.
    slowdown: f64,
}

impl PhaseClock {
    /// A machine that was made at `made` and does not run yet.
    pub(crate) fn new(accel: Chosen, made: Instant) -> Self {
        Self {
            accel,
            phase: Phase::Boot,
            began: made,
            clocks_at_start: Vec::new(),
            last_round: made,
            watched: Duration::ZERO,
            slowdown: 1.0,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Goes on to another phase; gives the time that the last one took.
    pub(crate) fn enter(&mut self, phase: Phase, clocks: Vec<VcpuClock>) -> Duration {
        let now = Instant::now();
        let spent = now - self.began;
        (self.phase, self.began, self.last_round, self.watched) = (phase, now, now, Duration::ZERO);
        self.clocks_at_start = clocks;
        spent
    }

    /// Measures the accelerator when the guest says hello, by its own clock at `guest_ns`. Gives the host time for a
    /// second of guest time, where guest time is not the host's.
    pub(crate) fn measure(&mut self, guest_ns: u64, clocks: &[VcpuClock]) -> Option<f64> {
        let measured = (self.accel == Chosen::Tcg && guest_ns > 0).then(|| run_ns(clocks) as f64 / guest_ns as f64)?;
        self.slowdown = measured.max(1.0);
        Some(measured)
    }

    /// Counts the time since the last round.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.watched += (now - self.last_round).min(LONGEST_ROUND);
        self.last_round = now;
    }

    /// The limit that the phase has outlived, if any. The clocks are asked for only where they matter.
    pub(crate) fn overdue(&self, deadlines: &Deadlines, clocks: impl FnOnce() -> Vec<VcpuClock>) -> Option<Duration> {
        let limit = self.limit(deadlines);
        if self.watched <= limit.min(IDLE_LIMIT) {
            return None;
        }
        let (ran, waited) = since(&self.clocks_at_start, &clocks());
        let is_over = match self.accel {
            Chosen::Kvm => self.watched.saturating_sub(waited) > limit,
            // Guest time stands still while the host does something else: only what the guest's thread really ran counts,
            // so that a loaded host changes no verdict.
            Chosen::Tcg => ran > limit || self.watched.saturating_sub(ran + waited) > IDLE_LIMIT,
        };
        (is_over || self.watched > limit * STANDSTILL).then_some(limit)
    }

    fn limit(&self, deadlines: &Deadlines) -> Duration {
        match (self.phase, self.accel) {
            (Phase::Boot, _) => deadlines.boot,
            (Phase::Ready, _) => deadlines.ready.mul_f64(self.slowdown),
            (Phase::Teardown, _) => deadlines.teardown.mul_f64(self.slowdown),
            (Phase::Scenario, Chosen::Kvm) => deadlines.scenario,
            (Phase::Scenario, Chosen::Tcg) => deadlines.scenario.mul_f64(self.slowdown) * SLOWEST_EMULATION,
        }
    }
}

/// All the time that the vCPUs' threads ran.
fn run_ns(clocks: &[VcpuClock]) -> u64 {
    clocks.iter().map(|clock| clock.run_ns).sum()
}

/// How long the threads ran, all together, and the longest that one of them waited for a CPU.
fn since(before: &[VcpuClock], after: &[VcpuClock]) -> (Duration, Duration) {
    let waited_before = before.iter().map(|clock| clock.wait_ns).chain(std::iter::repeat(0));
    let waits = after.iter().zip(waited_before).map(|(clock, before)| clock.wait_ns.saturating_sub(before));
    let ran_ns = run_ns(after).saturating_sub(run_ns(before));
    (Duration::from_nanos(ran_ns), Duration::from_nanos(waits.max().unwrap_or(0)))
}
