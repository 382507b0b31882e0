//! A worker's life, from `fork` to `_exit`: no allocation, no locks, but for what making threads takes.

use crate::meter::Meter;
use crate::program::{ExecArgs, Launch};
use crate::shared::{NO_WORK, Orders, Slot};
use crate::team::Team;
use crate::work;
use crate::work_type::WorkType;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// What its handler does nothing about, but what ends a system call that blocks.
pub(super) const NUDGE: i32 = libc::SIGUSR1;
/// Stack of a worker that is a thread; no work type recurses.
const STACK_BYTES: usize = 256 << 10;

/// What a worker is told.
pub(super) struct Task<'a> {
    pub(super) orders: &'a Orders,
    pub(super) team: Team<'a>,
    pub(super) work_type: &'a WorkType,
    pub(super) seed: u64,
}

impl Task<'_> {
    fn slot(&self) -> &Slot {
        &self.team.slots[self.team.index]
    }
}

/// The whole life of a worker that is a process.
pub(super) fn process(task: &Task<'_>, parent: i32) -> ! {
    begin(parent);
    live(task);
    exit(0)
}

/// The life of a worker that is a program, up to the program's own.
pub(super) fn program(task: &Task<'_>, launch: &Launch, exec: &ExecArgs, parent: i32) -> ! {
    begin(parent);
    let slot = task.slot();
    // SAFETY: no arguments.
    slot.tid.store(unsafe { libc::gettid() }, Release);
    task.orders.start.pass();
    // Nobody knows when a program has work.
    slot.ready_ns.store(NO_WORK, Release);
    slot.started.store(true, Release);
    launch.exec(exec)
}

/// The whole life of the process of workers that are threads. Its exit status is the error if they cannot be made.
/// `threads` has room for as many as there are tasks.
pub(super) fn threads(tasks: &[Task<'_>], threads: &mut [libc::pthread_t], parent: i32) -> ! {
    begin(parent);
    // SAFETY: zero is storage for an attribute that the next call fills; the tasks live as long as the process, because
    // this function does not return. Glibc makes its allocator usable in the child of a `fork`.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        libc::pthread_attr_init(&mut attributes);
        libc::pthread_attr_setstacksize(&mut attributes, STACK_BYTES);
        for (thread, task) in threads.iter_mut().zip(tasks) {
            let error =
                libc::pthread_create(thread, &attributes, thread_main, std::ptr::from_ref(task).cast_mut().cast());
            if error != 0 {
                exit(error);
            }
        }
        for thread in threads {
            libc::pthread_join(*thread, null_mut());
        }
    }
    exit(0)
}

extern "C" fn thread_main(task: *mut c_void) -> *mut c_void {
    // SAFETY: a task that lives as long as the process, and that nobody changes.
    live(unsafe { &*task.cast_const().cast::<Task<'_>>() });
    null_mut()
}

fn live(task: &Task<'_>) {
    // SAFETY: no arguments.
    task.slot().tid.store(unsafe { libc::gettid() }, Release);
    task.orders.start.pass();
    let mut meter = Meter::begin(task.orders, task.slot(), task.seed);
    if let Err(error) = work::run(task.work_type, &mut meter, &task.team) {
        task.slot().errno.store(error.raw_os_error().unwrap_or(libc::EIO), Relaxed);
    }
    meter.end();
}

fn begin(parent: i32) {
    // SAFETY: system calls without pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // It may have died before the line above.
        if libc::getppid() != parent {
            exit(1);
        }
    }
    set_signals();
}

/// A nudge ends a call that blocks; writing to what nobody reads is an error and no signal.
fn set_signals() {
    extern "C" fn nothing(_: i32) {}
    // SAFETY: zero is a valid sigaction: no flags, so no SA_RESTART, and an empty mask. The handler does nothing. What the
    // test's threads had blocked is unblocked.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
        libc::sigaction(NUDGE, &action, null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::sigprocmask(libc::SIG_SETMASK, &action.sa_mask, null_mut());
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: ends the process without running the parent's exit handlers.
    unsafe { libc::_exit(status) }
}
