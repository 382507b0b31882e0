//! What should happen to cgroups, workers and CPUs, as data; and scenarios that many tests want.
//!
//! A scenario is a list of [`Step`]s. All of it is checked before anything starts: an op on a cgroup that is not there
//! when the op's turn comes is an error that names the step and the op.
//!
//! ```no_run
//! use ktstr::prelude::*;
//!
//! #[ktstr_test(llcs = 2, cores = 2, threads = 1)]
//! fn shrinks(ctx: &Ctx) -> Result<AssertResult> {
//!     execute_steps(ctx, vec![
//!         Step::new(HoldSpec::Frac(0.5)).setup([CgroupDef::named("a"), CgroupDef::named("b").workers(4)]),
//!         Step::new(HoldSpec::Frac(0.5)).named("shrunk").ops([Op::set_cpuset("b", CpusetSpec::Llc(1))]),
//!     ])
//! }
//! ```

mod canned;
mod execute;
mod hotplug;
mod measure;
mod op;
mod plan;
mod priority;
mod stage;
mod step;
mod world;

pub use canned::steady;
pub use execute::{execute_defs, execute_steps, execute_steps_with};
pub use op::Op;
pub use plan::PlanError;
pub use step::{HoldSpec, Step};
pub use world::Refused;
