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
mod machine;
mod measure;
mod op;
mod plan;
mod priority;
mod stage;
mod step;
mod stress;
mod world;

pub use canned::{
    affinity_change, affinity_pinned, cgroup_add, cgroup_remove, cpuset_apply, cpuset_clear, cpuset_resize,
    host_contention, mixed_workloads, nested_steady, nested_task_move, oversubscribed, steady, steady_llc,
};
pub use execute::{execute_defs, execute_steps, execute_steps_with};
pub use op::Op;
pub use plan::PlanError;
pub use step::{HoldSpec, Step};
pub use stress::{fork_storm, hotplug_storm, many_cgroups, many_workers, rapid_topology_changes};
pub use world::Refused;

use crate::entry::Body;

/// Every scenario that is here as it is, by its name.
pub const CANNED: &[(&str, Body)] = &[
    ("steady", steady),
    ("steady_llc", steady_llc),
    ("oversubscribed", oversubscribed),
    ("cpuset_apply", cpuset_apply),
    ("cpuset_clear", cpuset_clear),
    ("cpuset_resize", cpuset_resize),
    ("cgroup_add", cgroup_add),
    ("cgroup_remove", cgroup_remove),
    ("affinity_change", affinity_change),
    ("affinity_pinned", affinity_pinned),
    ("host_contention", host_contention),
    ("mixed_workloads", mixed_workloads),
    ("nested_steady", nested_steady),
    ("nested_task_move", nested_task_move),
    ("many_cgroups", many_cgroups),
    ("many_workers", many_workers),
    ("rapid_topology_changes", rapid_topology_changes),
    ("hotplug_storm", hotplug_storm),
    ("fork_storm", fork_storm),
];
