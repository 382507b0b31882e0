//! Writes numbers into guest memory when the kernel gets to a place in its code for the first time.

use super::Refusal;
use super::api::{self, Block};
use super::arguments::Arguments;
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The place: the guest-virtual address of an instruction that is jumped to. Nothing is there in a kernel's address space
/// while this is 0.
static PLACE: AtomicU64 = AtomicU64::new(0);

/// The file that guest memory from address 0 is made of.
static RAM: AtomicI64 = AtomicI64::new(-1);

/// Numbers of four bytes and where they go, as offsets into the file.
static STORES: [Store; 4] = [const { Store { offset: AtomicI64::new(0), value: AtomicI64::new(0) } }; 4];
static COUNT: AtomicUsize = AtomicUsize::new(0);

static DONE: AtomicBool = AtomicBool::new(false);

struct Store {
    offset: AtomicI64,
    value: AtomicI64,
}

/// Reads the arguments: `ram=DESCRIPTOR` and `place=ADDRESS`, and for each number `offset=OFFSET` and then `value=NUMBER`.
pub(crate) fn install(arguments: &Arguments) -> Result<(), Refusal> {
    for (name, value) in arguments.iter() {
        let count = COUNT.load(Relaxed);
        match (name, STORES.get(count)) {
            (b"ram=", _) => RAM.store(value, Relaxed),
            // Addresses of the kernel are negative numbers.
            (b"place=", _) => PLACE.store(value as u64, Relaxed),
            (b"offset=", Some(store)) => store.offset.store(value, Relaxed),
            (b"value=", Some(store)) => {
                store.value.store(value, Relaxed);
                COUNT.store(count + 1, Relaxed);
            }
            (b"offset=" | b"value=", None) => return Err(c"the plugin cannot write that many numbers\n"),
            _ => {}
        }
    }
    Ok(())
}

/// Asks to be called when the place is reached.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block) {
    // SAFETY: as the caller promises; the callback looks at no data.
    unsafe {
        if api::qemu_plugin_tb_vaddr(block) == PLACE.load(Relaxed) && COUNT.load(Relaxed) > 0 {
            api::qemu_plugin_register_vcpu_tb_exec_cb(block, at_place, api::NO_REGISTERS, core::ptr::null_mut());
        }
    }
}

/// Writes to the file, which guest memory is a shared mapping of: QEMU need not export a way to it.
extern "C" fn at_place(_vcpu: c_uint, _data: *mut c_void) {
    if DONE.swap(true, Relaxed) {
        return;
    }
    for store in STORES.iter().take(COUNT.load(Relaxed)) {
        let bytes = (store.value.load(Relaxed) as u32).to_le_bytes();
        // SAFETY: the bytes live on; a place outside the file is refused or makes it longer, which nobody maps. A kernel that
        // does not find its number measures, as it would have.
        unsafe {
            api::pwrite(RAM.load(Relaxed) as c_int, bytes.as_ptr().cast(), bytes.len(), store.offset.load(Relaxed));
        }
    }
}
