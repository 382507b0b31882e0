//! What a test says of its kernel is so when its body runs, or the test tells nothing.

#![allow(clippy::unwrap_used)]

mod support;

use ktstr::prelude::*;
use std::fs;
use support::Specimen;

#[ktstr_test(
    kargs = ["ktstr_test.one=1", "ktstr_test.two=2"],
    sysctls = ["kernel.sched_rt_runtime_us=900000", ("kernel.printk", "5 4 1 7")],
    replicas = 2,
    gauntlet = false
)]
fn kernel_is_as_the_test_wants(_ctx: &Ctx) -> Result<AssertResult> {
    let words = fs::read_to_string("/proc/cmdline")?;
    ensure!(words.contains("ktstr_test.one=1 ktstr_test.two=2"), "{words}");
    let found = ["sched_rt_runtime_us", "printk"].map(|name| fs::read_to_string(format!("/proc/sys/kernel/{name}")));
    let [runtime, printk] = found;
    ensure!((runtime?.trim(), printk?.trim()) == ("900000", "5\t4\t1\t7"));
    Ok(AssertResult::default())
}

#[ktstr_test(sysctls = ["kernel.as_no_kernel_has_it=1"])]
#[ignore = "a specimen: run by a_setting_that_the_kernel_lacks_is_inconclusive"]
fn wants_what_there_is_not(_ctx: &Ctx) -> Result<AssertResult> {
    Ok(AssertResult::default())
}

#[test]
fn a_setting_that_the_kernel_lacks_is_inconclusive() {
    let reasons =
        ["cannot set kernel.as_no_kernel_has_it to 1 by /proc/sys/kernel/as_no_kernel_has_it", "No such file"];
    Specimen::new("wants_what_there_is_not").run().expect("Inconclusive", &reasons);
}
