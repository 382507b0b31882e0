//! What QEMU and the C library export, as far as it is used (include/qemu/qemu-plugin.h, interface 1).

use core::ffi::{c_char, c_int, c_uint, c_void};

/// QEMU's name for this plugin.
pub(crate) type PluginId = u64;

/// A translated block of the guest's code.
#[repr(C)]
pub(crate) struct Block {
    opaque: [u8; 0],
}

/// A vCPU of QEMU.
#[repr(C)]
pub(crate) struct CpuState {
    opaque: [u8; 0],
}

/// The callback looks at no registers (`QEMU_PLUGIN_CB_NO_REGS`).
pub(crate) const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    pub(crate) fn qemu_plugin_register_vcpu_tb_trans_cb(id: PluginId, callback: extern "C" fn(PluginId, *mut Block));
    pub(crate) fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    pub(crate) fn qemu_plugin_tb_vaddr(block: *const Block) -> u64;
    pub(crate) fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut Block,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    pub(crate) fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub(crate) fn pwrite(fd: c_int, bytes: *const c_void, count: usize, offset: i64) -> isize;
    pub(crate) fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize;
}
