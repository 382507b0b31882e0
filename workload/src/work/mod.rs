//! The kinds of work, one file a family. All of it runs between `fork` and `_exit`: no allocation, no locks.

mod cpu;

use crate::meter::Meter;
use crate::work_type::WorkType;

/// Works until told to stop.
pub(crate) fn run(work_type: &WorkType, meter: &mut Meter<'_>) {
    match work_type {
        WorkType::CpuSpin => cpu::spin(meter),
    }
}
