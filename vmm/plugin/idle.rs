//! When all vCPUs are halted, the emulation thread itself moves the clock on to the next timer.
//!
//! QEMU leaves that to its main thread (accel/tcg/icount-common.c, `icount_start_warp_timer`), which it tells when to look, and
//! waits. But each timer wakes that thread, too, and on a busy host it may find all halted before the emulation thread has
//! counted what the last vCPU has executed, and before it waits: then the same time is added twice, or another vCPU is the
//! first to go on, or the timer that ends turns (accel/tcg/tcg-accel-ops-rr.c) is not set anew. Each is rare, and another run.
//!
//! So before the last vCPU halts, what it has executed is counted, and work is left for it: as long as there is some, no thread
//! takes it for idle. The emulation thread finds the work when the vCPU has halted, and the clock is moved within it.

use super::api::{self, Block, CpuState};
use super::{qemu, stops};
use core::ffi::{c_uint, c_void};

/// HLT (SDM volume 2).
const HALT: u8 = 0xf4;

/// Timers that wake no vCPU, such as the one that ends turns each 100 ms: after so many QEMU's main thread has its turn, for a
/// guest may have halted for ever.
const MOST_TIMERS: usize = 100;

/// Asks to be called before each halt of the block.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block) {
    if !stops::counts_instructions() {
        return;
    }
    // SAFETY: as the caller promises; the callback looks at no data.
    unsafe { api::call_before(block, [HALT], at_halt) };
}

extern "C" fn at_halt(_vcpu: c_uint, _data: *mut c_void) {
    let Some(functions) = qemu::functions() else { return };
    if functions.others_are_idle() {
        functions.count();
        functions.call_after(skip_idle_time);
    }
}

extern "C" fn skip_idle_time(_vcpu: *mut CpuState, _data: usize) {
    if let Some(functions) = qemu::functions() {
        functions.skip_idle_time(MOST_TIMERS);
    }
}
