//! What it means for a test that its scheduler was loaded again by its own process.

use crate::scheduler::{Restart, SchedulerRun};
use std::ops::Range;

/// Where more than one part in so many of the body's time was not the scheduler's, what was measured is not the scheduler's
/// either.
const TOLERABLE_PARTS: u64 = 10;

/// What there is to doubt of a scheduler that did not come back, or was away for too much of the time that the test's body
/// ran, or for nobody knows how much of it.
pub(super) fn doubt(run: &SchedulerRun, body_ns: Option<Range<u64>>) -> Option<String> {
    if run.restarts.is_empty() {
        return None;
    }
    let how_long = match body_ns {
        Some(body) => {
            let unserved = run.restarts.iter().map(|restart| restart.unserved_ns(body.start, body.end));
            let (unserved_ns, of_ns) = (unserved.fold(0, u64::saturating_add), body.end.saturating_sub(body.start));
            let is_back = run.restarts.iter().all(|restart| restart.enabled_ns.is_some());
            if is_back && unserved_ns <= of_ns / TOLERABLE_PARTS {
                return None;
            }
            format!("for {:.3} s of the {:.3} s that the test ran", seconds(unserved_ns), seconds(of_ns))
        }
        None => "for a time of which it is not known whether the test ran".to_owned(),
    };
    let (name, count) = (&run.name, run.restarts.len());
    let each = run.restarts.iter().map(told).collect::<Vec<_>>().join("; ");
    let what =
        format!("the process of the scheduler {name} went on when the kernel had unregistered it, times: {count}");
    Some(format!("{what}; it was not enabled {how_long}: {each}"))
}

/// `from 3.100 s to 3.400 s (cpu 1 going offline, exiting scheduler)`, on the guest's clock.
fn told(restart: &Restart) -> String {
    let why = if restart.why.is_empty() { String::new() } else { format!(" ({})", restart.why) };
    let to = restart.enabled_ns.map_or("the end".to_owned(), |enabled_ns| format!("{:.3} s", seconds(enabled_ns)));
    format!("from {:.3} s to {to}{why}", seconds(restart.disabled_ns))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// Away from 3 s on, while a body ran.
    fn check(to_s: Option<u64>, body_s: Option<Range<u64>>, expected: Option<&str>) {
        let enabled_ns = to_s.map(|to_s| to_s * S);
        let restart = Restart { disabled_ns: 3 * S, enabled_ns, why: "cpu 1 going offline".to_owned() };
        let run = SchedulerRun { name: "one".to_owned(), restarts: vec![restart], ..SchedulerRun::default() };
        let doubt = doubt(&run, body_s.map(|body| body.start * S..body.end * S));
        assert_eq!(doubt.is_some(), expected.is_some(), "{doubt:?}");
        for (doubt, expected) in doubt.iter().zip(expected) {
            assert!(doubt.contains(expected), "{doubt}");
        }
    }

    #[test]
    fn a_long_absence_is_a_doubt() {
        let told =
            "not enabled for 1.000 s of the 9.000 s that the test ran: from 3.000 s to 4.000 s (cpu 1 going offline)";
        check(Some(4), Some(2..11), Some(told));
        check(Some(4), Some(2..12), None);
        check(Some(4), Some(0..3), None);
        check(Some(4), Some(4..5), None);
        check(Some(4), None, Some("not known"));
        check(None, Some(0..4), Some("from 3.000 s to the end"));
        check(None, Some(0..40), Some("not enabled for 37.000 s"));
        check(None, Some(0..3), Some("not enabled for 0.000 s"));
        assert_eq!(super::doubt(&SchedulerRun::default(), None), None);
    }
}
