//! Under emulation the kernel is told the rates of its timers and measures none: measuring is what a large guest would boot
//! for minutes with.

mod support;

use ktstr::prelude::*;
use support::Specimen;

/// What the kernel says, in this order: the TSC was a clock before there was a second CPU, and no CPU counted its delays.
const SAID: [&str; 3] =
    ["clocksource: Switched to clocksource tsc-early", "preset value", "smp: Brought up 1 node, 2 CPUs"];

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by the_kernel_measures_no_timer"]
fn looks_into_the_log(_ctx: &Ctx) -> Result<AssertResult> {
    let log = kernel_log()?;
    let at = SAID.map(|said| log.find(said));
    ensure!(at.is_sorted() && at[0].is_some(), "the kernel did not say {SAID:?}, but:\n{log}");
    Ok(AssertResult::default())
}

#[test]
fn the_kernel_measures_no_timer() {
    Specimen::new("looks_into_the_log").env("KTSTR_ACCEL", "tcg").run().expect("Pass", &[]);
}

/// All that the kernel has said, whether or not it reached the console.
fn kernel_log() -> Result<String> {
    /// `SYSLOG_ACTION_READ_ALL` of syslog(2).
    const READ_ALL: i32 = 3;
    let mut text = vec![0u8; 1 << 20];
    // SAFETY: the kernel writes at most as many bytes as it is told there are.
    let length = unsafe { libc::klogctl(READ_ALL, text.as_mut_ptr().cast(), text.len() as i32) };
    text.truncate(usize::try_from(length).context("cannot read the kernel's log")?);
    Ok(String::from_utf8_lossy(&text).into_owned())
}
