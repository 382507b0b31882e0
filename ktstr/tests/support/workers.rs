//! Workers for bodies that do something to them.

use ktstr::prelude::*;

/// A cgroup `cg_0` of two workers that wait to be started.
pub(crate) fn two_workers(ctx: &Ctx) -> Result<(CgroupGroup, WorkloadHandle)> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    group.create("cg_0")?;
    let config = WorkloadConfig::new("cg_0", 2, Work::default(), ctx.seed());
    let workload = WorkloadHandle::spawn(ctx.cgroups(), &[config])?;
    Ok((group, workload))
}
