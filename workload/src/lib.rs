//! The guest's side of a test: real cgroups, real worker processes, and what the workers measure of themselves.
//!
//! Nothing here knows of virtual machines; the crate works on any Linux with cgroup v2 and the right to use it.

mod cgroup;
mod clock;
mod def;
mod error;
mod report;
mod shared;
mod spawn;
mod worker;

pub use cgroup::{CgroupGroup, CgroupManager};
pub use def::CgroupDef;
pub use error::Error;
pub use report::{Gap, WorkerReport};
pub use spawn::{WorkloadConfig, WorkloadHandle};
