//! Work that computes.

use crate::meter::Meter;

/// Computes without a pause.
pub(super) fn spin(meter: &mut Meter<'_>) {
    while meter.goes_on() {
        meter.unit();
        meter.iteration();
    }
}
