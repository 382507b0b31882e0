//! The machine stops itself when the guest says that it can go on at any other time, always at the same instruction.
//!
//! Any other moment would be the host's, and what the guest does after it, too.

use super::api::{self, Block};
use super::layout::MARK;
use super::{stops, turns};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed, Ordering::SeqCst};

/// QEMU's own functions, which it exports for its modules: to stop, to tell whether that is done, and its lock.
const NAMES: [&CStr; COUNT] = [c"vm_stop", c"runstate_is_running", c"bql_lock_impl", c"bql_unlock"];
/// What the last two were called before 9.0.
const OLD_NAMES: [&CStr; COUNT] =
    [c"vm_stop", c"runstate_is_running", c"qemu_mutex_lock_iothread_impl", c"qemu_mutex_unlock_iothread"];
const COUNT: usize = 4;

static FOUND: [AtomicPtr<c_void>; COUNT] = [const { AtomicPtr::new(null_mut()) }; COUNT];

// Their types (include/sysemu/runstate.h, include/qemu/main-loop.h).
type Stop = unsafe extern "C" fn(c_int) -> c_int;
type IsRunning = unsafe extern "C" fn() -> bool;
type Lock = unsafe extern "C" fn(*const c_char, c_int);
type Unlock = unsafe extern "C" fn();

/// `RUN_STATE_PAUSED` (qapi/run-state.json).
const PAUSED: c_int = 4;

/// How often QEMU's main thread is looked at while it stops the machine, in microseconds.
const LOOK_EVERY_US: c_uint = 50;

/// Looks for all of them; false when one is missing.
pub(crate) fn find() -> bool {
    [NAMES, OLD_NAMES].iter().any(|names| {
        names.iter().zip(&FOUND).all(|(name, found)| {
            // SAFETY: the name is a C string; the null handle means the whole program.
            found.store(unsafe { api::dlsym(null_mut(), name.as_ptr()) }, Relaxed);
            !found.load(Relaxed).is_null()
        })
    })
}

/// Asks to be called before the mark.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block) {
    if stops::counts().is_none_or(|counts| counts.stops_at_mark.load(SeqCst) == 0) {
        return;
    }
    // SAFETY: as the caller promises; the callback looks at no data.
    unsafe { api::call_before(block, MARK, at_mark) };
}

extern "C" fn at_mark(_vcpu: c_uint, _data: *mut c_void) {
    if stops::counts().is_some_and(|counts| counts.stops_at_mark.swap(0, SeqCst) != 0) {
        stop();
    }
}

/// Returns when QEMU's main thread has asked all vCPUs to stop, this one included, which it does after its block.
fn stop() {
    let [stop, is_running, lock, unlock] = FOUND.each_ref().map(|found| found.load(Relaxed));
    // SAFETY: `find` found each of them, and these are their types. This is the emulation thread, which may ask for a stop at
    // any time, and does not hold the lock while a vCPU runs.
    unsafe {
        transmute::<*mut c_void, Stop>(stop)(PAUSED);
        while transmute::<*mut c_void, IsRunning>(is_running)() {
            api::usleep(LOOK_EVERY_US);
        }
        // The main thread says that nothing runs before it has asked all to stop, and keeps the lock until it has.
        transmute::<*mut c_void, Lock>(lock)(c"ktstr".as_ptr(), 0);
        transmute::<*mut c_void, Unlock>(unlock)();
    }
    // As in a machine that goes on from what is saved now.
    turns::begin_anew();
}
