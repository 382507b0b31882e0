//! Two cgroups of workers on machines of other shapes. That the guest has such a machine is checked in every run.

use ktstr::prelude::*;

#[ktstr_test(llcs = 1, cores = 1, threads = 1)]
fn one_cpu(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 2, cores = 2, threads = 2)]
fn two_llcs_with_smt(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(numa_nodes = 2, llcs = 2, cores = 2)]
fn two_nodes(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 3, cores = 1, threads = 2)]
fn three_llcs(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 2, cores = 3, threads = 4, numa_nodes = 2)]
fn four_threads_and_an_odd_number_of_cores(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}
