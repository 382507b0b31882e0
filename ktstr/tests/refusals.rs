//! A machine that cannot be had is refused before anything boots, with the reason and what comes nearest.

mod support;

use ktstr::BudgetPart;
use ktstr::prelude::*;
use support::Specimen;

#[ktstr_test(llcs = 14, cores = 9, threads = 2)]
#[ignore = "a specimen: APIC ids that cannot be emulated"]
fn wide_apic_ids(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 2, memory_mb = 128)]
#[ignore = "a specimen: less memory than the kernel needs"]
fn little_memory(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 4, cores = 16, memory_mb = 384)]
#[ignore = "a specimen: less memory than the kernel needs for its CPUs"]
fn little_memory_for_many_cpus(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(memory_only_nodes_mb = [8])]
#[ignore = "a specimen: a node that the kernel could not use"]
fn little_node(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(numa_nodes = 8, llcs = 8, node_memory_mb = [64, 64, 64, 64, 64, 64, 64, 64])]
#[ignore = "a specimen: no node has room for what the harness reserves"]
fn many_little_nodes(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

fn check(specimen: &'static str, reason: &str) {
    let outcome = Specimen::new(specimen).env("KTSTR_ACCEL", "tcg").run();
    outcome.expect("Inconclusive", &[reason]);
    assert!(outcome.record.guest.console.is_empty(), "{specimen} has booted");
    assert_eq!(outcome.record.host.budget, BudgetPart::default(), "{specimen} has asked for host CPUs");
}

#[test]
fn refuses_before_boot() {
    check("wide_apic_ids", "the nearest that works is 1,14,8,2");
    check("little_memory", "a machine with 128 MiB of RAM is too small: this one needs at least 264 MiB");
    check("little_memory_for_many_cpus", "this one needs at least 512 MiB");
    check("little_node", "node 1 with 8 MiB of RAM is too small: it needs at least 16 MiB");
    check("many_little_nodes", "give the first one at least 224 MiB");
}
