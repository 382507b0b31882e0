//! What workers do.

use crate::program::Program;
use crate::rt_app::RtApp;
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
    /// Pairs that pass a byte back and forth through pipes and compute before each pass.
    PipeIo,
    /// The same, and instead of computing each touches every cache line of its own memory.
    CachePipe {
        /// How much memory.
        bytes: u64,
    },
    /// Pairs that wake each other by turns (futex(2)) and compute in between.
    FutexPingPong,
    /// Teams in which one wakes all others at once, and goes on when each of them has computed.
    FutexFanOut {
        /// How many others.
        fan_out: u32,
    },
    /// The first worker wakes all others at once; one of them gets what there is to be done.
    ThunderingHerd,
    /// All want one lock, which is passed on in the order of asking, and its holder lets others run while it holds it.
    LockConvoy,
    /// Teams of three on one CPU each, with priorities 1, 2 and 3 of `SCHED_FIFO` that they give themselves. The high one
    /// wants a lock that the low one often holds while the medium one computes; the lock inherits priorities. What the
    /// high one measures as wake latency is how long it waits for the lock.
    PriorityInversion,
    /// Message threads that hand requests to their worker threads one by one, and worker threads that compute for a
    /// request and wait for the next: schbench. What a worker thread measures as wake latency is from its being woken with
    /// a request to when it ran.
    SchbenchLike {
        /// Message threads, each with worker threads of its own.
        message_threads: u32,
        /// Worker threads of each message thread.
        worker_threads: u32,
    },
    /// Groups in which every sender sends messages of 100 bytes to every receiver: hackbench. Receivers measure wake
    /// latencies.
    HackbenchLike {
        /// Groups.
        groups: u32,
        /// Senders of a group, and as many receivers.
        fds: u32,
        /// What they send through.
        channel: Channel,
    },
    /// Takes one CPU after the other of those that it was given offline and back. CPU 0 stays online.
    CpuHotplug {
        /// How long a CPU is offline.
        offline: Duration,
        /// How long all are online before the next one goes.
        online: Duration,
    },
    /// One after the other, again and again.
    Sequence(Vec<Phase>),
    /// Runs the threads of an rt-app file, a worker each.
    RtApp(RtApp),
    /// Runs a program of the host.
    Program(Program),
}

/// What the workers of [`WorkType::HackbenchLike`] send through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Channel {
    /// Pairs of stream sockets (unix(7)).
    #[default]
    Sockets,
    /// Pipes (pipe(7)).
    Pipes,
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
            Self::PipeIo => "pipe_io",
            Self::CachePipe { .. } => "cache_pipe",
            Self::FutexPingPong => "futex_ping_pong",
            Self::FutexFanOut { .. } => "futex_fan_out",
            Self::ThunderingHerd => "thundering_herd",
            Self::LockConvoy => "lock_convoy",
            Self::PriorityInversion => "priority_inversion",
            Self::SchbenchLike { .. } => "schbench_like",
            Self::HackbenchLike { .. } => "hackbench_like",
            Self::CpuHotplug { .. } => "cpu_hotplug",
            Self::Sequence(_) => "sequence",
            Self::RtApp(_) => "rt_app",
            Self::Program(_) => PROGRAM,
        }
    }

    /// The work type of this name, with parameters that make sense on any machine.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|work_type| work_type.name() == name)
    }

    /// How many workers of one group it takes.
    pub fn team_size(&self) -> TeamSize {
        match self {
            Self::PipeIo | Self::CachePipe { .. } | Self::FutexPingPong => TeamSize::MultipleOf(2),
            Self::FutexFanOut { fan_out } => TeamSize::MultipleOf(fan_out.saturating_add(1)),
            Self::ThunderingHerd | Self::LockConvoy => TeamSize::AtLeast(2),
            Self::PriorityInversion => TeamSize::MultipleOf(3),
            Self::SchbenchLike { message_threads, worker_threads } => {
                TeamSize::Exactly(message_threads.saturating_mul(worker_threads.saturating_add(1)))
            }
            Self::HackbenchLike { groups, fds, .. } => TeamSize::Exactly(groups.saturating_mul(*fds).saturating_mul(2)),
            Self::RtApp(app) => TeamSize::Exactly(app.threads.len() as u32),
            _ => TeamSize::Any,
        }
    }

    /// One of each kind that needs and changes nothing but workers, with parameters that make sense on any machine.
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
            Self::PipeIo,
            Self::CachePipe { bytes: 64 << 10 },
            Self::FutexPingPong,
            Self::FutexFanOut { fan_out: 3 },
            Self::ThunderingHerd,
            Self::LockConvoy,
            Self::PriorityInversion,
            Self::SchbenchLike { message_threads: 1, worker_threads: 3 },
            Self::HackbenchLike { groups: 1, fds: 2, channel: Channel::Sockets },
            Self::Sequence(vec![Phase::new(Self::CpuSpin, ms(10)), Phase::new(Self::YieldHeavy, ms(10))]),
        ]
    }

    /// What is wrong with its parameters.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let zero = Duration::ZERO;
        match self {
            Self::Bursty { burst, sleep } if *burst == zero && *sleep == zero => Some("burst and sleep are both zero"),
            Self::TimerPeriodic { period, .. } if *period == zero => Some("the period is zero"),
            Self::CachePressure { bytes: 0 }
            | Self::CacheYield { bytes: 0 }
            | Self::CachePipe { bytes: 0 }
            | Self::NumaMigration { bytes: 0 } => Some("it has no memory to touch"),
            Self::FutexFanOut { fan_out: 0 } => Some("there is nobody to be woken"),
            Self::SchbenchLike { message_threads: 0, .. } | Self::SchbenchLike { worker_threads: 0, .. } => {
                Some("it takes a message thread and a worker thread at least")
            }
            Self::HackbenchLike { groups: 0, .. } | Self::HackbenchLike { fds: 0, .. } => {
                Some("it takes a group and a sender at least")
            }
            Self::Sequence(phases) if phases.iter().all(|phase| phase.duration == zero) => {
                Some("the sequence takes no time")
            }
            Self::Sequence(phases) => phases.iter().find_map(|phase| match &phase.work_type {
                Self::Sequence(_) => Some("a sequence cannot have a sequence in it"),
                Self::Program(_) => Some("a sequence cannot have a program in it"),
                other if other.team_size() != TeamSize::Any => {
                    Some("a sequence cannot have work in it that takes a team")
                }
                other => other.fault(),
            }),
            _ => None,
        }
    }
}

/// How many workers of one group a work type takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TeamSize {
    /// Each works alone.
    Any,
    /// This many, or more.
    AtLeast(u32),
    /// Whole teams of this many.
    MultipleOf(u32),
    /// This many, by its parameters.
    Exactly(u32),
}

impl TeamSize {
    /// The number that fits and is nearest to `wanted` from above.
    pub fn fit(self, wanted: u32) -> u32 {
        match self {
            Self::Any => wanted,
            Self::AtLeast(least) => wanted.max(least),
            Self::MultipleOf(team) => wanted.max(1).next_multiple_of(team),
            Self::Exactly(count) => count,
        }
    }

    /// What is wrong with this number of workers; none at all are no team that could be wrong.
    pub(crate) fn fault(self, workers: u32) -> Option<&'static str> {
        if workers == 0 || self.fit(workers) == workers {
            return None;
        }
        Some(match self {
            Self::Any => return None,
            Self::AtLeast(_) => "it takes two workers or more",
            Self::MultipleOf(2) => "its workers come in pairs: an odd number of them does not do",
            Self::MultipleOf(_) => {
                "its workers come in teams: one that wakes and those that it wakes, or three priorities"
            }
            Self::Exactly(_) => "its parameters say how many workers it has: leave `workers` away",
        })
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
    fn teams_are_whole() {
        let check = |size: TeamSize, fits: u32, not: u32| {
            assert_eq!((size.fit(fits), size.fault(fits), size.fault(0)), (fits, None, None));
            assert!(size.fault(not).is_some() && size.fault(size.fit(not)).is_none(), "{size:?}");
        };
        check(WorkType::PipeIo.team_size(), 4, 3);
        check(WorkType::FutexFanOut { fan_out: 4 }.team_size(), 10, 6);
        check(WorkType::LockConvoy.team_size(), 7, 1);
        check(WorkType::SchbenchLike { message_threads: 2, worker_threads: 4 }.team_size(), 10, 5);
        check(WorkType::HackbenchLike { groups: 2, fds: 3, channel: Channel::Pipes }.team_size(), 12, 2);
        assert_eq!(WorkType::CpuSpin.team_size().fault(1), None);
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
