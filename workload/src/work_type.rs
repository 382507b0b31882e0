//! What workers do.

use crate::program::Program;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Name of the work type that runs a program.
pub(crate) const PROGRAM: &str = "program";

/// What a worker does, round after round, until it is told to stop. A round is what [`WorkerReport::iterations`] counts.
///
/// [`WorkerReport::iterations`]: crate::WorkerReport::iterations
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum WorkType {
    /// Computes without a pause.
    #[default]
    CpuSpin,
    /// Computes for some microseconds, then lets others go first (sched_yield(2)).
    YieldHeavy,
    /// Computes, yields or sleeps, at random, each for up to half a millisecond.
    Mixed,
    /// Writes 64 KiB into a file in memory (memfd_create(2)) and syncs it.
    IoSync,
    /// Computes, then sleeps.
    Bursty {
        /// How long it computes, by the clock.
        burst: Duration,
        /// How long it sleeps.
        sleep: Duration,
    },
    /// Writes to every cache line of its own memory, over and over.
    CachePressure {
        /// How much memory.
        bytes: u64,
    },
    /// The same, and yields after every 1024 lines.
    CacheYield {
        /// How much memory.
        bytes: u64,
    },
    /// Sleeps until a point in time, computes, and the next one is a period later: cyclictest. What the worker measures as
    /// wake latency is the time from that point to when it ran. Points that have passed already are left out.
    TimerPeriodic {
        /// From one point to the next.
        period: Duration,
        /// How long it computes, by the clock.
        work: Duration,
    },
    /// Forks a process that ends at once, and waits for it.
    ForkExit,
    /// Binds itself to one CPU after the other of those that it was given, and computes for some time on each.
    AffinityChurn,
    /// Moves its memory to one NUMA node after the other of those that it may use (mbind(2)) and touches it. With one
    /// node it only touches it.
    NumaMigration {
        /// How much memory.
        bytes: u64,
    },
    /// One after the other, again and again.
    Sequence(Vec<Phase>),
    /// Runs a program of the host.
    Program(Program),
}

/// A part of a [`WorkType::Sequence`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// What the worker does: nothing that needs other workers, and no sequence.
    pub work_type: WorkType,
    /// For how long, by the clock.
    pub duration: Duration,
}

impl Phase {
    /// A part of a [`WorkType::Sequence`].
    pub fn new(work_type: WorkType, duration: Duration) -> Self {
        Self { work_type, duration }
    }
}

impl WorkType {
    /// Its name, in the form in which the field writes names: `cpu_spin`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CpuSpin => "cpu_spin",
            Self::YieldHeavy => "yield_heavy",
            Self::Mixed => "mixed",
            Self::IoSync => "io_sync",
            Self::Bursty { .. } => "bursty",
            Self::CachePressure { .. } => "cache_pressure",
            Self::CacheYield { .. } => "cache_yield",
            Self::TimerPeriodic { .. } => "timer_periodic",
            Self::ForkExit => "fork_exit",
            Self::AffinityChurn => "affinity_churn",
            Self::NumaMigration { .. } => "numa_migration",
            Self::Sequence(_) => "sequence",
            Self::Program(_) => PROGRAM,
        }
    }

    /// The work type of this name, with parameters that make sense on any machine.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|work_type| work_type.name() == name)
    }

    /// One of each kind that needs nothing but the machine, with parameters that make sense on any machine.
    pub fn all() -> Vec<Self> {
        let ms = Duration::from_millis;
        vec![
            Self::CpuSpin,
            Self::YieldHeavy,
            Self::Mixed,
            Self::IoSync,
            Self::Bursty { burst: ms(5), sleep: ms(5) },
            Self::CachePressure { bytes: 1 << 20 },
            Self::CacheYield { bytes: 1 << 20 },
            Self::TimerPeriodic { period: ms(10), work: ms(1) },
            Self::ForkExit,
            Self::AffinityChurn,
            Self::NumaMigration { bytes: 256 << 10 },
            Self::Sequence(vec![Phase::new(Self::CpuSpin, ms(10)), Phase::new(Self::YieldHeavy, ms(10))]),
        ]
    }

    /// What is wrong with its parameters.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let zero = Duration::ZERO;
        match self {
            Self::Bursty { burst, sleep } if *burst == zero && *sleep == zero => Some("burst and sleep are both zero"),
            Self::TimerPeriodic { period, .. } if *period == zero => Some("the period is zero"),
            Self::CachePressure { bytes: 0 } | Self::CacheYield { bytes: 0 } | Self::NumaMigration { bytes: 0 } => {
                Some("it has no memory to touch")
            }
            Self::Sequence(phases) if phases.iter().all(|phase| phase.duration == zero) => {
                Some("the sequence takes no time")
            }
            Self::Sequence(phases) => phases.iter().find_map(|phase| match &phase.work_type {
                Self::Sequence(_) => Some("a sequence cannot have a sequence in it"),
                Self::Program(_) => Some("a sequence cannot have a program in it"),
                other => other.fault(),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_name() {
        for work_type in WorkType::all() {
            assert_eq!(WorkType::by_name(work_type.name()), Some(work_type.clone()));
            assert_eq!(work_type.fault(), None);
        }
        assert_eq!(WorkType::by_name("nothing"), None);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let sequence = |phases: &[Phase]| WorkType::Sequence(phases.to_vec()).fault();
        assert_eq!(sequence(&[]), Some("the sequence takes no time"));
        let inner = Phase::new(WorkType::Sequence(Vec::new()), Duration::from_secs(1));
        assert_eq!(sequence(&[inner]), Some("a sequence cannot have a sequence in it"));
        let still = Phase::new(WorkType::CachePressure { bytes: 0 }, Duration::from_secs(1));
        assert_eq!(sequence(&[still]), Some("it has no memory to touch"));
        let work = Duration::from_secs(1);
        assert_eq!(WorkType::TimerPeriodic { period: Duration::ZERO, work }.fault(), Some("the period is zero"));
    }
}
