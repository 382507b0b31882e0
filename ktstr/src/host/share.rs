//! What the host let the vCPUs have while the guest lived, so that a gap which the host made is charged to the host.

use crate::verdict::Window;
use ktstr_vmm::VcpuClock;
use std::time::{Duration, Instant};

/// Time between samples of a machine with few vCPUs; each costs the host one small file read a vCPU.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Whoever samples should never be this late: then all of this process stood still, as when it is stopped by a signal.
const STANDSTILL: Duration = Duration::from_millis(500);

/// A guest tells the time twice, unless it is out of its mind.
const MAX_ORIGINS: usize = 8;

/// Samples of the vCPUs' clocks over the life of the guest. Empty where guest time stands still while the host does something
/// else.
#[derive(Debug, Default)]
pub(crate) struct HostShare {
    /// Moments of the host's and the guest's time, to within what a message takes. From each the guest's goes on as the host's
    /// does, up to the next.
    origins: Vec<(Instant, u64)>,
    /// The clocks of the last sample.
    last: Vec<VcpuClock>,
    /// What each vCPU has been kept from running up to each sample, in nanoseconds.
    samples: Vec<(Instant, Vec<u64>)>,
}

impl HostShare {
    /// Takes in what time the guest says that it has now.
    pub(crate) fn guest_has(&mut self, guest_ns: u64) {
        if self.origins.len() < MAX_ORIGINS {
            self.origins.push((Instant::now(), guest_ns));
        }
    }

    /// Whether it is time for another sample.
    pub(crate) fn is_due(&self) -> bool {
        let Some((last, clocks)) = self.samples.last() else { return true };
        last.elapsed() >= SAMPLE_EVERY * (1 + clocks.len() as u32 / 8)
    }

    /// Takes a sample.
    pub(crate) fn add(&mut self, clocks: Vec<VcpuClock>) {
        self.add_at(Instant::now(), clocks);
    }

    fn add_at(&mut self, now: Instant, clocks: Vec<VcpuClock>) {
        let stolen = match self.samples.last() {
            None => vec![0; clocks.len()],
            Some((then, stolen)) => {
                let late = Some(now.saturating_duration_since(*then)).filter(|gap| *gap > STANDSTILL);
                let late_ns = late.map_or(0, |gap| gap.as_nanos() as u64);
                let pairs = stolen.iter().zip(self.last.iter().zip(&clocks));
                pairs.map(|(stolen, (before, after))| stolen + kept_from_running_ns(before, after, late_ns)).collect()
            }
        };
        self.samples.push((now, stolen));
        self.last = clocks;
    }

    /// How long the host kept the window's vCPU, or the worst off of all, waiting within the window.
    pub(crate) fn stolen_ns(&self, window: &Window) -> u64 {
        let (from, to) =
            (self.host_time(window.from_ns), self.host_time(window.from_ns.saturating_add(window.length_ns)));
        let (Some(from), Some(to)) = (from, to) else { return 0 };
        // The samples around the window: what was stolen just outside of it is counted in, never left out.
        let before = self.samples.iter().rev().find(|(when, _)| *when <= from).or(self.samples.first());
        let after = self.samples.iter().find(|(when, _)| *when >= to).or(self.samples.last());
        let (Some((_, before)), Some((_, after))) = (before, after) else { return 0 };
        let mut stolen = before.iter().zip(after).map(|(before, after)| after.saturating_sub(*before));
        match window.cpu {
            Some(cpu) => stolen.nth(cpu as usize).unwrap_or(0),
            None => stolen.max().unwrap_or(0),
        }
    }

    /// The host's time when the guest's was this.
    fn host_time(&self, guest_ns: u64) -> Option<Instant> {
        let last_before = self.origins.iter().rev().find(|(_, origin_ns)| *origin_ns <= guest_ns);
        let (host, origin_ns) = last_before.or(self.origins.first())?;
        let between = Duration::from_nanos(guest_ns.abs_diff(*origin_ns));
        if guest_ns >= *origin_ns {
            return Some(*host + between);
        }
        // A guest may claim a time before that from which the host's is counted.
        Some(host.checked_sub(between).unwrap_or(*host))
    }
}

/// For how long between two samples the host did not let a vCPU run that wanted to. A thread that is stopped does not even
/// wait for a CPU, so where this process came `late_ns` late, all of that counts that the vCPU did not run.
fn kept_from_running_ns(before: &VcpuClock, after: &VcpuClock, late_ns: u64) -> u64 {
    let waited_ns = after.wait_ns.saturating_sub(before.wait_ns);
    let ran_ns = after.run_ns.saturating_sub(before.run_ns);
    waited_ns.max(late_ns.saturating_sub(ran_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN_NS: u64 = 5_000_000_000;

    /// One vCPU, sampled at these milliseconds, with how long it had run and waited by then.
    fn share(samples: impl IntoIterator<Item = (u64, u64, u64)>) -> HostShare {
        let host = Instant::now();
        let mut share = HostShare { origins: vec![(host, BEGIN_NS)], ..HostShare::default() };
        for (at_ms, ran_ms, waited_ms) in samples {
            let clock = VcpuClock { run_ns: ran_ms * 1_000_000, wait_ns: waited_ms * 1_000_000 };
            share.add_at(host + Duration::from_millis(at_ms), vec![clock]);
        }
        share
    }

    fn check(share: &HostShare, from_ms: u64, length_ms: u64, expected_ms: u64) {
        let from_ns = BEGIN_NS + from_ms * 1_000_000;
        let window = Window { cpu: Some(0), from_ns, length_ns: length_ms * 1_000_000, tolerable_ns: 0 };
        assert_eq!(share.stolen_ns(&window), expected_ms * 1_000_000);
        assert_eq!(share.stolen_ns(&Window { cpu: None, ..window }), expected_ms * 1_000_000);
    }

    #[test]
    fn counts_what_was_stolen_in_the_window() {
        // Waits from 100 to 400 ms, in samples 50 ms apart.
        let share = share((0..20).map(|number| (number * 50, 0, (number * 50).clamp(100, 400) - 100)));
        check(&share, 0, 100, 0);
        check(&share, 100, 300, 300);
        check(&share, 0, 900, 300);
        check(&share, 500, 200, 0);
        // Cut at samples outside of the window.
        check(&share, 210, 80, 100);
    }

    #[test]
    fn a_process_that_stood_still_stole() {
        // Stopped from 50 to 5050 ms, but for the last 10.
        let stopped = share([(0, 0, 0), (50, 50, 0), (5050, 60, 0), (5100, 110, 0)]);
        check(&stopped, 0, 5100, 4990);
        check(&stopped, 5060, 20, 0);
        // Late, because the vCPU had the only CPU.
        check(&share([(0, 0, 0), (5000, 5000, 0)]), 0, 5000, 0);
    }

    #[test]
    fn before_the_first_and_after_a_break_is_counted_from_where_the_guest_told_the_time() {
        // Waits from 100 to 400 ms; told the time at 200 ms, and again 500 ms later, of which it stood still for 400.
        let mut share = share((0..40).map(|number| (number * 50, 0, (number * 50).clamp(100, 400) - 100)));
        let [(host, _)] = share.origins[..] else { panic!() };
        let after = |ms| host + Duration::from_millis(ms);
        share.origins = vec![(after(200), BEGIN_NS + 200_000_000), (after(700), BEGIN_NS + 300_000_000)];
        check(&share, 0, 150, 50);
        check(&share, 100, 150, 150);
        check(&share, 300, 100, 0);
        check(&share, 0, 350, 300);
        let early = Window { cpu: None, from_ns: 0, length_ns: BEGIN_NS + 150_000_000, tolerable_ns: 0 };
        assert_eq!(share.stolen_ns(&early), 50_000_000);
    }

    #[test]
    fn without_samples_nothing_is_charged() {
        let window = Window { cpu: None, from_ns: 0, length_ns: 1, tolerable_ns: 0 };
        assert_eq!(HostShare::default().stolen_ns(&window), 0);
    }
}
