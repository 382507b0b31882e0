//! A worker's life, from `fork` to `_exit`: no allocation, no locks.

use crate::meter::Meter;
use crate::shared::{Orders, Slot};
use crate::team::Team;
use crate::work;
use crate::work_type::WorkType;

/// What its handler does nothing about, but what ends a system call that blocks.
pub(super) const NUDGE: i32 = libc::SIGUSR1;

/// What a worker is told.
pub(super) struct Task<'a> {
    pub(super) orders: &'a Orders,
    pub(super) team: Team<'a>,
    pub(super) work_type: &'a WorkType,
    pub(super) seed: u64,
}

impl Task<'_> {
    pub(super) fn slot(&self) -> &Slot {
        &self.team.slots[self.team.index]
    }
}

/// The whole life of a worker process.
pub(super) fn process(task: &Task<'_>, parent: i32) -> ! {
    // SAFETY: system calls without pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have died before the line above.
        if libc::getppid() != parent {
            libc::_exit(1);
        }
    }
    set_signals();
    task.orders.start.pass();
    let mut meter = Meter::begin(task.orders, task.slot(), task.seed);
    work::run(task.work_type, &mut meter, &task.team);
    meter.end();
    // SAFETY: ends the process without running the parent's exit handlers.
    unsafe { libc::_exit(0) }
}

/// A nudge ends a call that blocks; writing to what nobody reads is an error and no signal.
fn set_signals() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: zero is a valid sigaction: no flags, so no SA_RESTART, and an empty mask. The handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(NUDGE, &action, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}
