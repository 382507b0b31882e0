//! The agent's own priority while schedulers are under test.
//!
//! A sched_ext scheduler takes every task of the normal classes, the agent's process among them, and one that stalls
//! would keep the agent from telling so until the kernel's watchdog ends it; or the agent would be the task that is
//! found stalled. Tasks of `SCHED_FIFO` are above all that, and the scheduler under test never sees the agent, which
//! sleeps but for moments. Its children start as normal tasks (sched(7), `SCHED_RESET_ON_FORK`).

use anyhow::{Context, Result};
use std::io;

/// From now on the agent runs before every normal task, whatever schedules those.
///
/// # Errors
/// What the kernel said.
pub(super) fn rise() -> Result<()> {
    set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK)
}

/// The same, and the processes that this one forks are as it is.
///
/// # Errors
/// What the kernel said.
pub(crate) fn rise_with_children() -> Result<()> {
    set(libc::SCHED_FIFO)
}

fn set(policy: i32) -> Result<()> {
    // SAFETY: no pointers.
    let highest = unsafe { libc::sched_get_priority_max(libc::SCHED_FIFO) };
    let param = libc::sched_param { sched_priority: highest };
    // SAFETY: `param` outlives the call; 0 is this process.
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()).context("cannot give the agent real-time priority") }
}
