//! No other thread has the emulation thread leave a vCPU's code for the sake of RCU.
//!
//! QEMU's RCU thread does so by a notifier of the emulation thread's (accel/tcg/tcg-accel-ops-rr.c, `rr_force_rcu`): since 10.2
//! whenever that thread has been within vCPUs' code for some time of the host's (util/rcu.c, `wait_for_readers`). The vCPU's
//! turn ends there, and the run is another. It ends soon anyway, and then RCU goes on.

use super::api;
use super::stops;
use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A thread's own state (include/qemu/rcu.h, `struct rcu_reader_data`), and where in it is the list of its notifiers.
type Reader = unsafe extern "C" fn() -> *mut u8;
const LIST: usize = 32;

/// A notifier (include/qemu/notify.h): what is called, the next one, and where the list, or the one before, points to it.
#[repr(C)]
struct Notifier {
    notify: unsafe extern "C" fn(*mut Notifier, *mut c_void),
    next: *mut Notifier,
    previous: *mut *mut Notifier,
}

static IS_DONE: AtomicBool = AtomicBool::new(false);

/// Called on the emulation thread, more than once.
pub(crate) fn on_translation() {
    if IS_DONE.swap(true, Relaxed) || !stops::counts_instructions() {
        return;
    }
    if let (false, Some(counts)) = (has_replaced_notifier(), stops::counts()) {
        counts.disturbed.store(1, Relaxed);
    }
}

fn has_replaced_notifier() -> bool {
    // SAFETY: the name is a C string, and this is the function's type. The list is changed when a thread begins and ends only;
    // a notifier that points back to where it was found is one, so that what is laid out otherwise is left alone.
    unsafe {
        let reader = api::dlsym(null_mut(), c"get_ptr_rcu_reader".as_ptr());
        if reader.is_null() {
            return false;
        }
        let list: *mut *mut Notifier = transmute::<*mut c_void, Reader>(reader)().add(LIST).cast();
        let first = *list;
        let is_found = !first.is_null() && (*first).next.is_null() && (*first).previous == list;
        if is_found {
            (*first).notify = leave_it_alone;
        }
        is_found
    }
}

unsafe extern "C" fn leave_it_alone(_notifier: *mut Notifier, _data: *mut c_void) {}
