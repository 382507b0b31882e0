//! Before a vCPU halts, QEMU's count of instructions is brought up to date.
//!
//! QEMU's main thread moves the clock on to the next timer when it finds that all vCPUs are halted. It may look between the
//! last one's halt and the moment when the emulation thread has counted what that one has executed, and would add the same
//! time twice (softmmu/icount.c, `icount_start_warp_timer`): rarely, and on a busy host.

use super::api::{self, Block};
use super::layout::NOT_COUNTED;
use super::{qemu, stops};
use core::ffi::{c_uint, c_void};
use core::sync::atomic::Ordering::Relaxed;

/// HLT (SDM volume 2).
const HALT: u8 = 0xf4;

/// Asks to be called before each halt of the block.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block) {
    if stops::counts().is_none_or(|counts| counts.icount_shift.load(Relaxed) == NOT_COUNTED) {
        return;
    }
    // SAFETY: as the caller promises; the callback looks at no data.
    unsafe { api::call_before(block, [HALT], at_halt) };
}

extern "C" fn at_halt(_vcpu: c_uint, _data: *mut c_void) {
    if let Some(functions) = qemu::functions() {
        functions.count();
    }
}
