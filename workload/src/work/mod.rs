//! The kinds of work, one file a family. All of it runs between `fork` and `_exit`: no allocation, no locks.

mod cpu;

use crate::meter::Meter;
use crate::team::{Needs, Team};
use crate::work_type::WorkType;

/// What a group of this many workers needs to talk to each other.
pub(crate) fn needs(work_type: &WorkType, _workers: usize) -> Needs {
    match work_type {
        WorkType::CpuSpin => Needs::default(),
    }
}

/// Works until told to stop.
pub(crate) fn run(work_type: &WorkType, meter: &mut Meter<'_>, _team: &Team<'_>) {
    match work_type {
        WorkType::CpuSpin => cpu::spin(meter),
    }
}
