//! The phases of a run, and how long each may take.

use ktstr_vmm::{Chosen, VcpuClock, Vm};
use std::time::{Duration, Instant};

/// What a test may take beyond its declared duration, in guest time, before the agent ends it.
pub(crate) const BODY_GRACE: Duration = Duration::from_secs(10);

/// Emulated CPUs take turns, so that each has the less of guest time the more of them are busy: for so many, the grace is
/// as it is elsewhere, and beyond it grows with their number.
const EMULATED_CPUS_IN_GRACE: u32 = 4;

/// How long the agent lets a test of this duration run on a machine with so many CPUs.
pub(crate) fn body_limit(duration: Duration, cpus: u32, accel: Chosen) -> Duration {
    let times = match accel {
        Chosen::Kvm => 1,
        Chosen::Tcg => cpus.div_ceil(EMULATED_CPUS_IN_GRACE).max(1),
    };
    duration + BODY_GRACE * times
}

/// What a machine is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Until the kernel has started the agent.
    Boot,
    /// Until the agent's hello.
    Hello,
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
    /// As `ready`.
    pub(crate) hello: Duration,
    /// Host time where the accelerator is as fast as the guest's clock.
    pub(crate) ready: Duration,
    /// Guest time, with what the agent needs to end the test binary itself.
    pub(crate) scenario: Duration,
    /// As `ready`.
    pub(crate) teardown: Duration,
}

/// Where an emulator does not tell how much it has executed: a second of guest time may take so many times as long as it did
/// until the agent was up, for a guest that spins with PAUSE leaves the translated code each time.
const SLOWEST_EMULATION: u32 = 20;

/// Host time for a second of guest time where that was not measured: as on a host that is several times slower than most.
const UNKNOWN_SLOWDOWN: f64 = 4.0;

/// A phase ends for good after this many times its limit on the host's clock.
const STANDSTILL: u32 = 6;

/// An emulating thread that for this long neither runs nor waits for a CPU has nothing left to do.
const IDLE_LIMIT: Duration = Duration::from_secs(60);

/// How often an emulator is asked how much it has executed.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A round of watching counts for no more than this: what is beyond, the host stood still, and the guest with it.
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// What tells how much time a guest had.
pub(crate) trait GuestTime {
    /// As [`Vm::vcpu_clocks`].
    fn vcpu_clocks(&self) -> Vec<VcpuClock>;
    /// As [`Vm::executed`].
    fn executed(&mut self) -> Option<Duration>;
}

impl GuestTime for Vm {
    fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        self.vcpu_clocks()
    }

    fn executed(&mut self) -> Option<Duration> {
        self.executed()
    }
}

/// A deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue {
    /// What should have been over.
    pub(crate) phase: Phase,
    /// How long it might have taken.
    pub(crate) limit: Duration,
    /// Whether the guest had that time. Otherwise the host, or what emulates the guest, stood still.
    pub(crate) guest_had_it: bool,
}

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
    /// As `watched`, when the emulator was last asked.
    asked: Duration,
    /// Host time for a second of guest time until the agent was up, one at least.
    slowdown: f64,
    /// Guest time when the scenario began.
    scenario_began: Duration,
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
            asked: Duration::ZERO,
            slowdown: 1.0,
            scenario_began: Duration::ZERO,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Goes on to another phase; gives the time that the last one took.
    pub(crate) fn enter(&mut self, phase: Phase, clocks: Vec<VcpuClock>) -> Duration {
        let now = Instant::now();
        let spent = now - self.began;
        (self.phase, self.began, self.last_round) = (phase, now, now);
        (self.watched, self.asked, self.clocks_at_start) = (Duration::ZERO, Duration::ZERO, clocks);
        spent
    }

    /// Measures the accelerator when the guest's agent is up, by the guest's clock at `guest_ns`. Gives the host time for a
    /// second of guest time, where guest time is not the host's.
    pub(crate) fn measure(&mut self, guest_ns: u64, clocks: &[VcpuClock]) -> Option<f64> {
        let measured = (self.accel == Chosen::Tcg && guest_ns > 0).then(|| run_ns(clocks) as f64 / guest_ns as f64)?;
        self.slowdown = measured.max(1.0);
        Some(measured)
    }

    /// Takes the accelerator for slow where the guest's agent was up before the host could measure.
    pub(crate) fn cannot_measure(&mut self) {
        if self.accel == Chosen::Tcg {
            self.slowdown = UNKNOWN_SLOWDOWN;
        }
    }

    /// The scenario began at this guest time.
    pub(crate) fn scenario_begins(&mut self, guest_ns: u64) {
        self.scenario_began = Duration::from_nanos(guest_ns);
    }

    /// Counts the time since the last round.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.watched += now.saturating_duration_since(self.last_round).min(LONGEST_ROUND);
        self.last_round = now;
    }

    /// Whether the phase has outlived its limit. The guest's time is asked for only where it matters.
    pub(crate) fn overdue(&mut self, deadlines: &Deadlines, time: &mut impl GuestTime) -> Option<Overdue> {
        let limit = self.limit(deadlines);
        if self.watched <= limit.min(IDLE_LIMIT) {
            return None;
        }
        let (ran, waited) = since(&self.clocks_at_start, &time.vcpu_clocks());
        let guest_had_it = match self.accel {
            Chosen::Kvm => self.watched.saturating_sub(waited) > limit,
            Chosen::Tcg => self.emulated(limit, ran, time),
        };
        let stood_still = self.accel == Chosen::Tcg && self.watched.saturating_sub(ran + waited) > IDLE_LIMIT;
        let is_overdue = guest_had_it || stood_still || self.watched > limit * STANDSTILL;
        is_overdue.then_some(Overdue { phase: self.phase, limit, guest_had_it })
    }

    /// Whether a guest had `limit` whose time stands still while the host does something else: only what its thread really
    /// ran counts, so that a loaded host changes no verdict.
    fn emulated(&mut self, limit: Duration, ran: Duration, time: &mut impl GuestTime) -> bool {
        if self.phase != Phase::Scenario || ran <= limit {
            return ran > limit;
        }
        if ran > limit * SLOWEST_EMULATION {
            return true;
        }
        if self.watched < self.asked + ASK_EVERY {
            return false;
        }
        self.asked = self.watched;
        time.executed().is_some_and(|executed| executed.saturating_sub(self.scenario_began) > limit)
    }

    fn limit(&self, deadlines: &Deadlines) -> Duration {
        match self.phase {
            Phase::Boot => deadlines.boot,
            Phase::Hello => deadlines.hello.mul_f64(self.slowdown),
            Phase::Ready => deadlines.ready.mul_f64(self.slowdown),
            Phase::Scenario => deadlines.scenario,
            Phase::Teardown => deadlines.teardown.mul_f64(self.slowdown),
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

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        boot: Duration::from_secs(60),
        hello: Duration::from_secs(60),
        ready: Duration::from_secs(60),
        scenario: Duration::from_secs(20),
        teardown: Duration::from_secs(60),
    };

    #[test]
    fn many_emulated_cpus_have_more_time() {
        let grace_s = |cpus, accel| body_limit(Duration::from_secs(2), cpus, accel).as_secs() - 2;
        assert_eq!([1, 4, 5, 252].map(|cpus| grace_s(cpus, Chosen::Tcg)), [10, 10, 20, 630]);
        assert_eq!([1, 252].map(|cpus| grace_s(cpus, Chosen::Kvm)), [10, 10]);
    }

    /// One vCPU's times in seconds, and what was executed.
    struct Guest {
        ran: u64,
        waited: u64,
        executed: Option<u64>,
    }

    impl GuestTime for Guest {
        fn vcpu_clocks(&self) -> Vec<VcpuClock> {
            vec![VcpuClock { run_ns: self.ran * 1_000_000_000, wait_ns: self.waited * 1_000_000_000 }]
        }

        fn executed(&mut self) -> Option<Duration> {
            self.executed.map(Duration::from_secs)
        }
    }

    /// Whether a scenario that began at five seconds of guest time is overdue after `watched` seconds on the host, and
    /// whether the guest had its time.
    fn check(accel: Chosen, watched: u64, mut guest: Guest, expected: Option<bool>) {
        let mut clock = PhaseClock::new(accel, Instant::now());
        clock.enter(Phase::Scenario, Vec::new());
        clock.scenario_begins(5_000_000_000);
        clock.watched = Duration::from_secs(watched);
        let overdue = clock.overdue(&DEADLINES, &mut guest);
        assert_eq!(overdue.map(|overdue| overdue.guest_had_it), expected, "after {watched} s");
    }

    #[test]
    fn under_kvm_the_host_clock_counts_without_waits() {
        let guest = |waited| Guest { ran: 0, waited, executed: None };
        check(Chosen::Kvm, 20, guest(0), None);
        check(Chosen::Kvm, 21, guest(0), Some(true));
        check(Chosen::Kvm, 21, guest(10), None);
        check(Chosen::Kvm, 121, guest(110), Some(false));
    }

    #[test]
    fn under_emulation_what_was_executed_counts() {
        let guest = |ran, waited, executed| Guest { ran, waited, executed };
        check(Chosen::Tcg, 30, guest(20, 10, Some(100)), None);
        check(Chosen::Tcg, 30, guest(30, 0, Some(25)), None);
        check(Chosen::Tcg, 30, guest(30, 0, Some(26)), Some(true));
        // One that does not tell.
        check(Chosen::Tcg, 30, guest(30, 0, None), None);
        check(Chosen::Tcg, 120, guest(120, 0, None), None);
        // Nothing runs, or hardly anything.
        check(Chosen::Tcg, 61, guest(0, 2, None), None);
        check(Chosen::Tcg, 61, guest(0, 0, None), Some(false));
        check(Chosen::Tcg, 121, guest(10, 110, None), Some(false));
    }

    #[test]
    fn a_host_that_stood_still_is_not_counted() {
        let mut clock = PhaseClock::new(Chosen::Kvm, Instant::now());
        let later = clock.last_round + Duration::from_secs(3600);
        clock.tick(later);
        assert_eq!(clock.watched, LONGEST_ROUND);
    }

    #[test]
    fn a_slow_accelerator_has_longer() {
        let mut clock = PhaseClock::new(Chosen::Tcg, Instant::now());
        let clocks = [VcpuClock { run_ns: 6_000_000_000, wait_ns: 0 }];
        assert_eq!(clock.measure(2_000_000_000, &clocks), Some(3.0));
        clock.enter(Phase::Ready, Vec::new());
        assert_eq!(clock.limit(&DEADLINES), DEADLINES.ready * 3);
        assert_eq!(PhaseClock::new(Chosen::Kvm, Instant::now()).measure(1, &clocks), None);
    }
}
