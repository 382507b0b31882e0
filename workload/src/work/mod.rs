//! The kinds of work, one file a family. All of it runs between `fork` and `_exit`: no allocation, no locks.

mod cpu;
mod futex;
mod hackbench;
mod hotplug;
mod io;
mod lock;
mod memory;
mod numa;
mod pin;
mod pipe;
mod priority;
mod process;
mod rt_app;
mod schbench;
mod sync;
mod system;
mod timer;

use crate::def::Work;
use crate::meter::Meter;
use crate::spec::WorkerKind;
use crate::team::{Needs, Team};
use crate::work_type::{Channel, Phase, WorkType};

/// What a group of this many workers needs to talk to each other.
pub(crate) fn needs(work_type: &WorkType, workers: usize) -> Needs {
    let words = |words| Needs { words, ..Needs::default() };
    match work_type {
        WorkType::PipeIo | WorkType::CachePipe { .. } => Needs { pipes: workers, ..Needs::default() },
        WorkType::FutexPingPong => words(workers / 2),
        WorkType::FutexFanOut { fan_out } => words(workers / (*fan_out as usize + 1) * futex::FAN_OUT_WORDS),
        WorkType::ThunderingHerd => words(futex::FAN_OUT_WORDS),
        WorkType::LockConvoy => words(lock::OWN_WORDS + workers),
        WorkType::PriorityInversion => words(workers / priority::TEAM),
        WorkType::SchbenchLike { .. } => words(workers),
        WorkType::HackbenchLike { channel: Channel::Pipes, .. } => Needs { pipes: workers / 2, ..Needs::default() },
        WorkType::HackbenchLike { channel: Channel::Sockets, .. } => {
            Needs { socket_pairs: workers / 2, ..Needs::default() }
        }
        WorkType::RtApp(app) => words(app.words),
        _ => Needs::default(),
    }
}

/// Why a group of this many workers cannot do this work.
pub(crate) fn fault(work: &Work, workers: u32) -> Option<&'static str> {
    match work.work_type {
        WorkType::Program(_) if work.kind == WorkerKind::Thread => {
            Some("a program is a process, and these workers are to be threads")
        }
        _ => work.work_type.fault().or_else(|| work.work_type.team_size().fault(workers)),
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
        WorkType::PipeIo => pipe::io(meter, team),
        WorkType::CachePipe { bytes } => pipe::cache(meter, team, *bytes),
        WorkType::FutexPingPong => futex::ping_pong(meter, team),
        WorkType::FutexFanOut { fan_out } => futex::fan_out(meter, team, *fan_out as usize + 1, |meter| meter.unit()),
        WorkType::ThunderingHerd => futex::thundering_herd(meter, team),
        WorkType::LockConvoy => lock::convoy(meter, team),
        WorkType::PriorityInversion => priority::inversion(meter, team),
        WorkType::SchbenchLike { worker_threads, .. } => schbench::run(meter, team, *worker_threads as usize + 1),
        WorkType::HackbenchLike { fds, channel, .. } => hackbench::run(meter, team, *fds as usize, *channel),
        WorkType::CpuHotplug { offline, online } => hotplug::toggle(meter, *offline, *online),
        WorkType::RtApp(app) => rt_app::run(meter, team, app),
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
