//! What QEMU and the C library export, as far as it is used (include/qemu/qemu-plugin.h, interfaces 1 to 7).

use core::ffi::{c_char, c_int, c_long, c_uint, c_void};

/// QEMU's name for this plugin.
pub(crate) type PluginId = u64;

/// A translated block of the guest's code.
#[repr(C)]
pub(crate) struct Block {
    opaque: [u8; 0],
}

/// An instruction of a block.
#[repr(C)]
pub(crate) struct Instruction {
    opaque: [u8; 0],
}

/// A vCPU of QEMU.
#[repr(C)]
pub(crate) struct CpuState {
    opaque: [u8; 0],
}

/// What is called when a block was translated.
#[repr(C)]
pub(crate) union OnTranslation {
    pub(crate) with_id: extern "C" fn(PluginId, *mut Block),
    pub(crate) with_data: extern "C" fn(*mut Block, *mut c_void),
}

/// Since this interface each callback is given data of its own, and none the plugin's name.
pub(crate) const WITH_DATA: c_int = 7;

/// The callback looks at no registers (`QEMU_PLUGIN_CB_NO_REGS`).
pub(crate) const NO_REGISTERS: c_int = 0;

/// It does (`QEMU_PLUGIN_CB_R_REGS`).
pub(crate) const READS_REGISTERS: c_int = 1;

/// `futex` and its operations (include/uapi/linux/futex.h) for a word that two processes share.
pub(crate) const SYS_FUTEX: c_long = 202;
pub(crate) const FUTEX_WAIT: c_int = 0;
pub(crate) const FUTEX_WAKE: c_int = 1;

const CLOCK_MONOTONIC: c_int = 1;

const READ_AND_WRITE: c_int = 1 | 2;
const SHARED: c_int = 1;

unsafe extern "C" {
    /// Before [`WITH_DATA`] QEMU takes two arguments and leaves the register of the third alone.
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: OnTranslation, data: *mut c_void);
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub(crate) fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    pub(crate) fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    pub(crate) fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    /// Since 9.1 the bytes are copied, and their number returned; before, QEMU takes one argument and returns a pointer to them.
    fn qemu_plugin_insn_data(instruction: *const Instruction, into: *mut u8, count: usize) -> usize;
    pub(crate) fn usleep(microseconds: c_uint) -> c_int;
    pub(crate) fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    pub(crate) fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    pub(crate) fn syscall(number: c_long, ...) -> c_long;
    fn clock_gettime(clock: c_int, time: *mut [c_long; 2]) -> c_int;
    fn sched_getcpu() -> c_int;
    fn mmap(address: *mut c_void, bytes: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64)
    -> *mut c_void;
    pub(crate) fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub(crate) fn pwrite(fd: c_int, bytes: *const c_void, count: usize, offset: i64) -> isize;
    pub(crate) fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize;
}

/// Maps the beginning of a file that other processes map too; null when that is refused.
///
/// # Safety
/// As mmap(2) at an address of its own choice.
pub(crate) unsafe fn map_shared(fd: c_int, bytes: usize) -> *mut c_void {
    // SAFETY: as the caller promises.
    let mapped = unsafe { mmap(core::ptr::null_mut(), bytes, READ_AND_WRITE, SHARED, fd, 0) };
    if mapped.addr() == usize::MAX { core::ptr::null_mut() } else { mapped }
}

/// Asks to be called, without data, before each instruction of the block that has these bytes.
///
/// # Safety
/// The block is the one being translated; the callback looks at no data.
pub(crate) unsafe fn call_before<const COUNT: usize>(
    block: *mut Block,
    bytes: [u8; COUNT],
    callback: extern "C" fn(c_uint, *mut c_void),
) {
    // SAFETY: as the caller promises.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            if bytes_of(instruction) == Some(bytes) {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, callback, NO_REGISTERS, core::ptr::null_mut());
            }
        }
    }
}

/// The bytes of an instruction, if it has so many.
///
/// # Safety
/// The instruction is of a block that is being translated.
unsafe fn bytes_of<const COUNT: usize>(instruction: *const Instruction) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    // SAFETY: as the caller promises; no pointer is that small.
    unsafe {
        if qemu_plugin_insn_size(instruction) != COUNT {
            return None;
        }
        let result = qemu_plugin_insn_data(instruction, bytes.as_mut_ptr(), COUNT);
        if result > COUNT {
            bytes = core::ptr::with_exposed_provenance::<[u8; COUNT]>(result).read_unaligned();
        }
    }
    Some(bytes)
}

/// The host's clock, in nanoseconds since some moment.
pub(crate) fn host_ns() -> u64 {
    let mut time = [0; 2];
    // SAFETY: a `struct timespec` (include/uapi/linux/time_types.h), which is written. There is such a clock everywhere.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    let [seconds, ns] = time.map(c_long::cast_unsigned);
    seconds.wrapping_mul(1_000_000_000).wrapping_add(ns)
}

/// The host's CPU that runs this.
pub(crate) fn host_cpu() -> u32 {
    // SAFETY: it only returns a number.
    unsafe { sched_getcpu() }.cast_unsigned()
}
