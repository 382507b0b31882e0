//! What the host let the vCPUs have while the test ran, so that a gap which the host made is charged to the host.

use crate::verdict::Window;
use ktstr_vmm::VcpuClock;
use std::time::{Duration, Instant};

/// Time between samples of a machine with few vCPUs; each costs the host one small file read a vCPU.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// Samples of the vCPUs' clocks over the life of the test binary. Empty where guest time stands still while the host
/// does something else.
#[derive(Debug, Default)]
pub(crate) struct HostShare {
    /// Host and guest time of the same moment, to within the time that a message takes.
    origin: Option<(Instant, u64)>,
    samples: Vec<(Instant, Vec<VcpuClock>)>,
}

impl HostShare {
    /// Begins, at a moment whose guest time is known.
    pub(crate) fn begin(&mut self, guest_ns: u64) {
        self.origin = Some((Instant::now(), guest_ns));
    }

    /// Whether it is time for another sample.
    pub(crate) fn is_due(&self) -> bool {
        let Some((last, clocks)) = self.samples.last() else { return self.origin.is_some() };
        last.elapsed() >= SAMPLE_EVERY * (1 + clocks.len() as u32 / 8)
    }

    /// Takes a sample.
    pub(crate) fn add(&mut self, clocks: Vec<VcpuClock>) {
        self.samples.push((Instant::now(), clocks));
    }

    /// How long the host kept the window's vCPU, or the worst off of all, waiting within the window.
    pub(crate) fn stolen_ns(&self, window: &Window) -> u64 {
        let Some((host, guest_ns)) = self.origin else { return 0 };
        let at = |ns: u64| host + Duration::from_nanos(ns.saturating_sub(guest_ns));
        let (from, to) = (at(window.from_ns), at(window.from_ns.saturating_add(window.length_ns)));
        // The samples around the window: what was stolen just outside of it is counted in, never left out.
        let before = self.samples.iter().rev().find(|(when, _)| *when <= from).or(self.samples.first());
        let after = self.samples.iter().find(|(when, _)| *when >= to).or(self.samples.last());
        let (Some((_, before)), Some((_, after))) = (before, after) else { return 0 };
        let waits = before.iter().zip(after).map(|(before, after)| after.wait_ns.saturating_sub(before.wait_ns));
        match window.cpu {
            Some(cpu) => waits.into_iter().nth(cpu as usize).unwrap_or(0),
            None => waits.max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One vCPU that waited from 100 to 400 ms, in samples 50 ms apart.
    fn share() -> HostShare {
        let host = Instant::now();
        let sample = |ms: u64| {
            let wait_ns = ms.clamp(100, 400).saturating_sub(100) * 1_000_000;
            (host + Duration::from_millis(ms), vec![VcpuClock { run_ns: 0, wait_ns }])
        };
        HostShare { origin: Some((host, 5_000_000_000)), samples: (0..20).map(|number| sample(number * 50)).collect() }
    }

    fn check(from_ms: u64, length_ms: u64, expected_ms: u64) {
        let from_ns = 5_000_000_000 + from_ms * 1_000_000;
        let window = Window { cpu: Some(0), from_ns, length_ns: length_ms * 1_000_000, tolerable_ns: 0 };
        assert_eq!(share().stolen_ns(&window), expected_ms * 1_000_000);
        assert_eq!(share().stolen_ns(&Window { cpu: None, ..window }), expected_ms * 1_000_000);
    }

    #[test]
    fn counts_what_was_stolen_in_the_window() {
        check(0, 100, 0);
        check(100, 300, 300);
        check(0, 900, 300);
        check(500, 200, 0);
        // Cut at samples outside of the window.
        check(210, 80, 100);
    }

    #[test]
    fn without_samples_nothing_is_charged() {
        let window = Window { cpu: None, from_ns: 0, length_ns: 1, tolerable_ns: 0 };
        assert_eq!(HostShare::default().stolen_ns(&window), 0);
    }
}
