//! The guest's side of a test: real cgroups, real workers, and what the workers measure of themselves.
//!
//! Nothing here knows of virtual machines; the crate works on any Linux with cgroup v2 and the right to use it.

mod cgroup;
mod clock;
mod def;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod histogram;
mod meter;
mod program;
mod report;
mod rt_app;
mod shared;
mod spawn;
mod spec;
mod team;
mod work;
mod work_type;

pub use cgroup::{CgroupGroup, CgroupManager};
pub use clock::monotonic_ns;
pub use def::{CgroupDef, CpuMax, Work};
pub use error::Error;
pub use histogram::LatencyHistogram;
pub use program::{Metric, Program, ProgramEnd, ProgramReport};
pub use report::{Gap, Progress, RunSegment, WorkerReport};
pub use rt_app::{RtApp, RtAppError};
pub use spawn::{EndedPhase, WorkloadConfig, WorkloadHandle};
pub use spec::{AffinityKind, CpusetSpec, SchedPolicy, WorkerKind};
pub use work_type::{Channel, Phase, TeamSize, WorkType};
#[doc(hidden)] // For measuring what books cost.
pub use {clock::thread_cpu_ns, meter::compute_unit};
