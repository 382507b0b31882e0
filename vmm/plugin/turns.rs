//! Ends each vCPU's turn on the emulation thread after so many instructions.
//!
//! QEMU before 8.1 with `-icount` leaves a vCPU that computes only where that vCPU programs a timer, in the middle of the
//! kernel's timer code and with its locks held. All others then wait for what only the next turn can give. Later releases
//! share the time between two timers out by themselves (accel/tcg/tcg-accel-ops-icount.c, `icount_percpu_budget`).

use super::Refusal;
use super::api::{self, Block, CpuState};
use super::arguments::Arguments;
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, Ordering::Relaxed};

/// Instructions in a turn; 0 where QEMU itself is fair.
static TURN: AtomicI64 = AtomicI64::new(0);

/// Whose turn it is, and what is left of it. All vCPUs run on one thread.
static VCPU: AtomicU32 = AtomicU32::new(c_uint::MAX);
static LEFT: AtomicI64 = AtomicI64::new(0);

/// QEMU's own functions, which it exports for its modules: the state of a vCPU, and the wish that it leave its code.
static GET_CPU: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
static EXIT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
type GetCpu = unsafe extern "C" fn(c_int) -> *mut CpuState;
type Exit = unsafe extern "C" fn(*mut CpuState);

/// Reads the argument `turn`, without which there are no turns, and finds what is needed of QEMU.
pub(crate) fn install(arguments: &Arguments) -> Result<(), Refusal> {
    let turn = arguments.iter().find_map(|(name, value)| (name == b"turn=").then_some(value));
    let Some(turn) = turn else { return Ok(()) };
    TURN.store(turn, Relaxed);
    // SAFETY: both names are C strings; the null handle means the whole program.
    let [get_cpu, exit] =
        [c"qemu_get_cpu", c"cpu_exit"].map(|name| unsafe { api::dlsym(core::ptr::null_mut(), name.as_ptr()) });
    if get_cpu.is_null() || exit.is_null() {
        return Err(
            c"this QEMU does not export cpu_exit and qemu_get_cpu, without which its vCPUs have no fair turns: \
                     use one that does (Debian's), or QEMU 8.1 or newer\n",
        );
    }
    GET_CPU.store(get_cpu, Relaxed);
    EXIT.store(exit, Relaxed);
    Ok(())
}

/// Asks to be called each time before the block runs, with the number of its instructions.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block) {
    if TURN.load(Relaxed) == 0 {
        return;
    }
    // SAFETY: as the caller promises; the callback takes a number for data, no pointer.
    unsafe {
        let instructions = api::qemu_plugin_tb_n_insns(block);
        let data = core::ptr::without_provenance_mut(instructions);
        api::qemu_plugin_register_vcpu_tb_exec_cb(block, on_execution, api::NO_REGISTERS, data);
    }
}

/// The next block begins a turn.
pub(crate) fn begin_anew() {
    VCPU.store(c_uint::MAX, Relaxed);
}

/// A block is about to run. Nothing but the guest's own instructions counts, so that a run stays a function of its inputs.
extern "C" fn on_execution(vcpu: c_uint, instructions: *mut c_void) {
    if VCPU.load(Relaxed) != vcpu {
        VCPU.store(vcpu, Relaxed);
        LEFT.store(TURN.load(Relaxed), Relaxed);
    }
    let left = LEFT.load(Relaxed) - instructions.addr() as i64;
    LEFT.store(left, Relaxed);
    if left <= 0 {
        LEFT.store(TURN.load(Relaxed), Relaxed);
        end_turn(vcpu);
    }
}

#[cold]
fn end_turn(vcpu: c_uint) {
    // SAFETY: `install` found both functions, whose types these are (include/hw/core/cpu.h), and the vCPU that runs exists.
    unsafe {
        let get_cpu: GetCpu = core::mem::transmute(GET_CPU.load(Relaxed));
        let exit: Exit = core::mem::transmute(EXIT.load(Relaxed));
        exit(get_cpu(vcpu as c_int));
    }
}
