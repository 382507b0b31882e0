//! Scenarios that many tests want, as they are.

use crate::assert::AssertResult;
use crate::ctx::Ctx;
use crate::scenarios::execute_defs;
use anyhow::Result;
use ktstr_workload::CgroupDef;

/// Two cgroups of CPU-bound workers, undisturbed for the whole duration.
///
/// # Errors
/// As [`execute_defs`].
pub fn steady(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("cg_0"), CgroupDef::named("cg_1")])
}
