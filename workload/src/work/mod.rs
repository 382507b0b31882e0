//! The kinds of work, one file a family. All of it runs between `fork` and `_exit`: no allocation, no locks.

mod cpu;
mod io;
mod memory;
mod numa;
mod pin;
mod process;
mod system;
mod timer;

use crate::def::Work;
use crate::meter::Meter;
use crate::spec::WorkerKind;
use crate::team::{Needs, Team};
use crate::work_type::{Phase, WorkType};

/// What a group of this many workers needs to talk to each other.
pub(crate) fn needs(_work_type: &WorkType, _workers: usize) -> Needs {
    Needs::default()
}

/// Why a group of this many workers cannot do this work.
pub(crate) fn fault(work: &Work, _workers: usize) -> Option<&'static str> {
    match work.work_type {
        WorkType::Program(_) if work.kind == WorkerKind::Thread => {
            Some("a program is a process, and these workers are to be threads")
        }
        _ => work.work_type.fault(),
    }
}

/// Works until told to stop.
///
/// # Errors
/// What the kernel refused; the worker cannot go on then.
pub(crate) fn run(work_type: &WorkType, meter: &mut Meter<'_>, team: &Team<'_>) -> std::io::Result<()> {
    match work_type {
        WorkType::CpuSpin => cpu::spin(meter),
        WorkType::YieldHeavy => cpu::yield_heavy(meter),
        WorkType::Mixed => cpu::mixed(meter),
        WorkType::IoSync => io::sync(meter),
        WorkType::Bursty { burst, sleep } => timer::bursty(meter, *burst, *sleep),
        WorkType::CachePressure { bytes } => memory::pressure(meter, *bytes),
        WorkType::CacheYield { bytes } => memory::pressure_and_yield(meter, *bytes),
        WorkType::TimerPeriodic { period, work } => timer::periodic(meter, *period, *work),
        WorkType::ForkExit => process::fork_exit(meter, team),
        WorkType::AffinityChurn => pin::churn(meter),
        WorkType::NumaMigration { bytes } => numa::migrate(meter, *bytes),
        WorkType::Sequence(phases) => sequence(phases, meter, team),
        // It has become the program, or has ended.
        WorkType::Program(_) => Ok(()),
    }
}

fn sequence(phases: &[Phase], meter: &mut Meter<'_>, team: &Team<'_>) -> std::io::Result<()> {
    while meter.goes_on() {
        for phase in phases {
            meter.during(phase.duration, |meter| run(&phase.work_type, meter, team))?;
        }
    }
    Ok(())
}
