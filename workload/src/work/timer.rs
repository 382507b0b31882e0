//! Work that sleeps.

use super::system::sleep_until;
use crate::meter::Meter;
use std::io;
use std::time::Duration;

pub(super) fn bursty(meter: &mut Meter<'_>, burst: Duration, sleep: Duration) -> io::Result<()> {
    while meter.goes_on() {
        compute(meter, burst);
        let due_ns = meter.last_ns() + ns(sleep);
        meter.wait_until(due_ns, || sleep_until(due_ns));
        meter.iteration();
    }
    Ok(())
}

pub(super) fn periodic(meter: &mut Meter<'_>, period: Duration, work: Duration) -> io::Result<()> {
    let mut due_ns = meter.last_ns();
    while meter.goes_on() {
        let periods = (meter.last_ns() - due_ns.min(meter.last_ns())) / ns(period) + 1;
        due_ns += periods * ns(period);
        meter.wait_until(due_ns, || sleep_until(due_ns));
        compute(meter, work);
        meter.iteration();
    }
    Ok(())
}

/// One unit at least, so that there is work to be seen.
fn compute(meter: &mut Meter<'_>, duration: Duration) {
    meter.during(duration, |meter| {
        meter.unit();
        while meter.goes_on() {
            meter.unit();
        }
    });
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}
