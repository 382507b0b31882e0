//! A plugin for QEMU: fair turns for vCPUs, values that the kernel finds instead of measuring them, stop points, and the
//! moment at which a machine is saved.
//!
//! The crate's build script compiles this without the standard library into a shared object of a few kilobytes.

#![cfg_attr(ktstr_plugin, no_std)]

mod api;
mod arguments;
mod freeze;
mod idle;
#[cfg(ktstr_plugin)]
#[path = "../src/qemu/stops/layout.rs"]
mod layout;
#[cfg(ktstr_plugin)]
#[path = "../src/qemu/stops/looks.rs"]
mod looks;
mod qemu;
mod rcu;
mod stops;
mod stores;
mod turns;
mod waits;

#[cfg(not(ktstr_plugin))]
use crate::qemu::stops::{layout, looks};
use api::{Block, OnTranslation, PluginId};
use arguments::Arguments;
use core::ffi::{CStr, c_char, c_int, c_void};

/// The interface that is spoken (include/qemu/qemu-plugin.h, `QEMU_PLUGIN_VERSION`). QEMU reads it before it calls anything,
/// and no number suits all releases: whoever starts QEMU writes the one for that release over this mark.
#[unsafe(no_mangle)]
static qemu_plugin_version: c_int = c_int::from_le_bytes(*b"%IF%");

fn interface() -> c_int {
    // SAFETY: the variable is valid. It was written after the compiler had seen it.
    unsafe { (&raw const qemu_plugin_version).read_volatile() }
}

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
    let arguments = unsafe { Arguments::new(argc, argv) };
    if let Err(why) = turns::install(&arguments).and_then(|()| stores::install(&arguments)) {
        // SAFETY: the bytes of a C string, to standard error.
        unsafe { api::write(2, why.as_ptr().cast(), why.count_bytes()) };
        return 1;
    }
    stops::install(&arguments);
    let callback = if interface() < api::WITH_DATA {
        OnTranslation { with_id: on_translation_with_id }
    } else {
        OnTranslation { with_data: on_translation }
    };
    // SAFETY: the callback is of the interface's type and lives as long as QEMU, which never unloads the plugin.
    unsafe { api::qemu_plugin_register_vcpu_tb_trans_cb(id, callback, core::ptr::null_mut()) };
    0
}

extern "C" fn on_translation_with_id(_id: PluginId, block: *mut Block) {
    on_translation(block, core::ptr::null_mut());
}

/// A block of code was translated: say what is to be called each time before it runs.
extern "C" fn on_translation(block: *mut Block, _data: *mut c_void) {
    // SAFETY: the block is valid during this call.
    unsafe {
        turns::on_translation(block);
        stores::on_translation(block);
        stops::on_translation(block, interface());
        freeze::on_translation(block);
        idle::on_translation(block);
    }
    rcu::on_translation();
}

/// Why QEMU cannot have the plugin, as a line for people.
type Refusal = &'static CStr;

/// Nothing here panics; a program without the standard library must say what would happen.
#[cfg(ktstr_plugin)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
