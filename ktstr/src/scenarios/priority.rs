//! The thread that runs a scenario does so on time, whatever is scheduled how beside it.

use std::io;
use std::time::Instant;

/// Does a part of a long piece of work, and then lets others run for as long: this thread would keep them from a CPU all
/// the time otherwise, and that would be taken for the scheduler's fault.
pub(super) fn in_turns<T>(part: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = part();
    std::thread::sleep(began.elapsed());
    done
}

/// What the thread was before, and becomes again when this value is dropped.
#[derive(Debug)]
pub(super) struct OnTime {
    policy: i32,
    param: libc::sched_param,
}

impl OnTime {
    /// Gives the calling thread the highest real-time priority, so that its ops come when they should and it is no load
    /// of the scheduler under test. What it forks is ordinary again (sched(7), `SCHED_RESET_ON_FORK`).
    pub(super) fn begin() -> io::Result<Self> {
        let mut param = libc::sched_param { sched_priority: 0 };
        // SAFETY: no pointers.
        let policy = check(unsafe { libc::sched_getscheduler(0) })?;
        // SAFETY: a live local.
        check(unsafe { libc::sched_getparam(0, &raw mut param) })?;
        // SAFETY: no pointers.
        let highest = check(unsafe { libc::sched_get_priority_max(libc::SCHED_FIFO) })?;
        set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, libc::sched_param { sched_priority: highest })?;
        Ok(Self { policy, param })
    }
}

impl Drop for OnTime {
    fn drop(&mut self) {
        if let Err(error) = set(self.policy, self.param) {
            eprintln!("cannot give the scenario's thread its former policy: {error}");
        }
    }
}

fn set(policy: i32, param: libc::sched_param) -> io::Result<()> {
    // SAFETY: a live local.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const param) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
