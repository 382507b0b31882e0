//! Guests of several sizes, which do nothing but boot: `cargo xtask bench hello` measures how long that takes.

use ktstr::prelude::*;

#[ktstr_test(cores = 1)]
#[ignore = "for measurements"]
fn cpus_1(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

#[ktstr_test(cores = 8)]
#[ignore = "for measurements"]
fn cpus_8(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

#[ktstr_test(llcs = 8, cores = 8)]
#[ignore = "for measurements"]
fn cpus_64(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

// No APIC id above 254, which QEMU 7.2 does not emulate.
#[ktstr_test(llcs = 2, cores = 63, threads = 2)]
#[ignore = "for measurements"]
fn cpus_252(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}
