//! A plugin for QEMU: ends each vCPU's turn on the emulation thread after so many instructions.
//!
//! QEMU before 8.1 with `-icount` leaves a vCPU that computes only where that vCPU programs a timer, in the middle of the
//! kernel's timer code and with its locks held. All others then wait for what only the next turn can give. Later releases
//! share the time between two timers out by themselves (accel/tcg/tcg-accel-ops-icount.c, `icount_percpu_budget`).
//!
//! The crate's build script compiles this without the standard library into a shared object of a few kilobytes.

#![cfg_attr(ktstr_plugin, no_std)]

mod api;
mod arguments;

use api::{Block, CpuState, PluginId};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, Ordering::Relaxed};

/// The interface that is spoken here (include/qemu/qemu-plugin.h, `QEMU_PLUGIN_VERSION`).
#[unsafe(no_mangle)]
static qemu_plugin_version: c_int = 1;

/// Instructions in a turn.
static TURN: AtomicI64 = AtomicI64::new(0);

/// Whose turn it is, and what is left of it. All vCPUs run on one thread.
static VCPU: AtomicU32 = AtomicU32::new(c_uint::MAX);
static LEFT: AtomicI64 = AtomicI64::new(0);

/// QEMU's own functions, which it exports for its modules: the state of a vCPU, and the wish that it leave its code.
static GET_CPU: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
static EXIT: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
type GetCpu = unsafe extern "C" fn(c_int) -> *mut CpuState;
type Exit = unsafe extern "C" fn(*mut CpuState);

const NOT_EXPORTED: &CStr =
    c"this QEMU does not export cpu_exit and qemu_get_cpu, without which its vCPUs have no fair \
                              turns: use one that does (Debian's), or QEMU 8.1 or newer\n";
const NO_TURN: &CStr = c"the plugin wants the argument turn=INSTRUCTIONS\n";

/// QEMU calls this once, before there is a machine. What is not 0 ends QEMU.
///
/// # Safety
/// `argv` are `argc` C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: PluginId,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: as the caller promises.
    let Some(turn) = (unsafe { arguments::value_of(c"turn=", argc, argv) }) else { return refuse(NO_TURN) };
    // SAFETY: both names are C strings; the null handle means the whole program.
    let (get_cpu, exit) = unsafe {
        (
            api::dlsym(core::ptr::null_mut(), c"qemu_get_cpu".as_ptr()),
            api::dlsym(core::ptr::null_mut(), c"cpu_exit".as_ptr()),
        )
    };
    if get_cpu.is_null() || exit.is_null() {
        return refuse(NOT_EXPORTED);
    }
    TURN.store(turn, Relaxed);
    GET_CPU.store(get_cpu, Relaxed);
    EXIT.store(exit, Relaxed);
    // SAFETY: the callback lives as long as QEMU, which never unloads the plugin.
    unsafe { api::qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation) };
    0
}

fn refuse(why: &CStr) -> c_int {
    // SAFETY: the bytes of a C string, to standard error.
    unsafe { api::write(2, why.as_ptr().cast(), why.count_bytes()) };
    1
}

/// A block of code was translated: ask to be called each time before it runs, with the number of its instructions.
extern "C" fn on_translation(_id: PluginId, block: *mut Block) {
    // SAFETY: the block is valid during this call; the callback takes a number for data, no pointer.
    unsafe {
        let instructions = api::qemu_plugin_tb_n_insns(block);
        let data = core::ptr::without_provenance_mut(instructions);
        api::qemu_plugin_register_vcpu_tb_exec_cb(block, on_execution, api::NO_REGISTERS, data);
    }
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
    // SAFETY: `qemu_plugin_install` found both functions, whose types these are (include/hw/core/cpu.h), and the vCPU that
    // runs exists.
    unsafe {
        let get_cpu: GetCpu = core::mem::transmute(GET_CPU.load(Relaxed));
        let exit: Exit = core::mem::transmute(EXIT.load(Relaxed));
        exit(get_cpu(vcpu as c_int));
    }
}

/// Nothing here panics; a program without the standard library must say what would happen.
#[cfg(ktstr_plugin)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
