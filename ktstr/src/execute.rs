//! Declarations become running workloads.

use crate::assert::AssertResult;
use crate::ctx::Ctx;
use anyhow::Result;
use ktstr_workload::{CgroupDef, CgroupGroup, WorkloadConfig, WorkloadHandle};

/// Makes the cgroups, runs their workers for the test's duration, and checks what they report.
///
/// # Errors
/// When a cgroup or a worker could not be made, or a worker ended by itself.
pub fn execute_defs(ctx: &Ctx, defs: Vec<CgroupDef>) -> Result<AssertResult> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    let mut configs = Vec::new();
    for def in &defs {
        group.create(def.name())?;
        for work in def.works() {
            let workers = work.workers.unwrap_or(ctx.workers_per_cgroup());
            configs.push(WorkloadConfig::new(def.name(), workers, work, ctx.seed()));
        }
    }
    let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &configs)?;
    workload.start();
    std::thread::sleep(ctx.duration());
    let reports = workload.stop_and_collect()?;
    Ok(ctx.assert().check(reports))
}
