//! Two cgroups of workers on machines of other shapes. That the guest has such a machine is checked in every run.
//! On presets they would all be the same test.

use ktstr::prelude::*;

#[ktstr_test(llcs = 1, cores = 1, threads = 1, gauntlet = false)]
fn one_cpu(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 2, cores = 2, threads = 2, gauntlet = false)]
fn two_llcs_with_smt(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(numa_nodes = 2, llcs = 2, cores = 2, gauntlet = false)]
fn two_nodes(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 3, cores = 1, threads = 2, gauntlet = false)]
fn three_llcs(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 2, cores = 3, threads = 4, numa_nodes = 2, gauntlet = false)]
fn four_threads_and_an_odd_number_of_cores(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

/// LLCs enough for an APIC id above 254 where the processor has eight ids for each, as the first Zen. That the guest has all
/// of its CPUs is checked in every run.
#[ktstr_test(llcs = 33, cores = 1)]
#[ignore = "for KVM on such a processor: cargo xtask ci"]
fn apic_ids_above_254(_ctx: &Ctx) -> Result<AssertResult> {
    let text = std::fs::read_to_string("/proc/cpuinfo")?;
    let ids =
        text.lines().filter_map(|line| line.strip_prefix("apicid")?.trim_start_matches([':', '\t', ' ']).parse().ok());
    let highest: Option<u32> = ids.max();
    assert!(highest > Some(254), "the highest APIC id is {highest:?}");
    Ok(AssertResult::default())
}
