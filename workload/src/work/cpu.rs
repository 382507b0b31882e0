//! Work that computes.

use super::system::{sleep_until, yield_cpu};
use crate::meter::Meter;
use std::io;

pub(super) fn spin(meter: &mut Meter<'_>) -> io::Result<()> {
    while meter.goes_on() {
        meter.unit();
        meter.iteration();
    }
    Ok(())
}

pub(super) fn yield_heavy(meter: &mut Meter<'_>) -> io::Result<()> {
    while meter.goes_on() {
        meter.unit();
        yield_cpu();
        meter.iteration();
    }
    Ok(())
}

pub(super) fn mixed(meter: &mut Meter<'_>) -> io::Result<()> {
    while meter.goes_on() {
        match meter.random(3) {
            0 => (0..=meter.random(32)).for_each(|_| meter.unit()),
            1 => yield_cpu(),
            _ => {
                let due_ns = meter.last_ns() + 1 + meter.random(500_000);
                meter.wait_until(due_ns, || sleep_until(due_ns));
            }
        }
        meter.unit();
        meter.iteration();
    }
    Ok(())
}
