//! Functions of QEMU's own that it exports for its modules: what its plugin interface does not offer, or not in all releases.

use super::api::{self, CpuState};
use super::layout::REGISTERS;
use core::ffi::{CStr, c_int, c_uint, c_void};
use core::mem::transmute;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// The names, in the order of [`Functions`]; the last two are GLib's.
const NAMES: [&CStr; COUNT] = [
    c"qemu_get_cpu",
    c"cpu_thread_is_idle",
    c"async_run_on_cpu",
    c"all_cpu_threads_idle",
    c"icount_start_warp_timer",
    c"qemu_clock_run_timers",
    c"icount_update",
    c"icount_get",
    c"cpu_memory_rw_debug",
    c"x86_cpu_gdb_read_register",
    c"g_byte_array_new",
    c"g_byte_array_set_size",
];
const COUNT: usize = 12;

static FOUND: [AtomicPtr<c_void>; COUNT] = [const { AtomicPtr::new(core::ptr::null_mut()) }; COUNT];

/// The vCPU that the emulation thread runs, a variable of that thread.
const CURRENT_CPU: &CStr = c"current_cpu";
static CURRENT: AtomicPtr<*mut CpuState> = AtomicPtr::new(core::ptr::null_mut());

/// Where registers are put (glib/garray.h, `GByteArray`).
#[repr(C)]
struct Bytes {
    data: *mut u8,
    len: c_uint,
}
static BYTES: AtomicPtr<Bytes> = AtomicPtr::new(core::ptr::null_mut());

/// vCPUs by their numbers.
static CPUS: [AtomicPtr<CpuState>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];
const MAX_CPUS: usize = 256;

/// The number of the base of GS among a vCPU's registers (target/i386/gdbstub.c); those before R15 have their own.
const GS_BASE: c_int = 25;

/// `QEMU_CLOCK_VIRTUAL` (include/qemu/timer.h): the guest's.
const CLOCK_VIRTUAL: c_int = 1;

// Their types (include/hw/core/cpu.h, include/sysemu/cpu-timers.h, target/i386/cpu.h, glib/garray.h).
type GetCpu = unsafe extern "C" fn(c_int) -> *mut CpuState;
type IsIdle = unsafe extern "C" fn(*mut CpuState) -> bool;
type RunLater = unsafe extern "C" fn(*mut CpuState, Work, usize);
type AllAreIdle = unsafe extern "C" fn() -> bool;
type StartWarp = unsafe extern "C" fn();
type RunTimers = unsafe extern "C" fn(c_int) -> bool;
/// What QEMU calls for a vCPU, with a word of data.
pub(crate) type Work = extern "C" fn(*mut CpuState, usize);
type IcountUpdate = unsafe extern "C" fn(*mut CpuState);
type IcountGet = unsafe extern "C" fn() -> i64;
type ReadMemory = unsafe extern "C" fn(*mut CpuState, u64, *mut c_void, usize, bool) -> c_int;
type ReadRegister = unsafe extern "C" fn(*mut CpuState, *mut Bytes, c_int) -> c_int;
type NewBytes = unsafe extern "C" fn() -> *mut Bytes;
type SetSize = unsafe extern "C" fn(*mut Bytes, c_uint) -> *mut Bytes;

/// What was found.
pub(crate) struct Functions {
    is_idle: IsIdle,
    run_later: RunLater,
    all_are_idle: AllAreIdle,
    start_warp: StartWarp,
    run_timers: RunTimers,
    icount_update: IcountUpdate,
    icount_get: IcountGet,
    read_memory: ReadMemory,
    read_register: ReadRegister,
    set_size: SetSize,
    bytes: *mut Bytes,
    current: *mut *mut CpuState,
}

/// Looks for all of them; false when one is missing.
pub(crate) fn find() -> bool {
    for (name, found) in NAMES.iter().zip(&FOUND) {
        // SAFETY: the name is a C string; the null handle means the whole program.
        found.store(unsafe { api::dlsym(core::ptr::null_mut(), name.as_ptr()) }, Relaxed);
    }
    FOUND.iter().all(|found| !found.load(Relaxed).is_null())
}

/// All of them, on the emulation thread, once [`find`] has.
pub(crate) fn functions() -> Option<Functions> {
    let [
        get_cpu,
        is_idle,
        run_later,
        all_are_idle,
        start_warp,
        run_timers,
        update,
        get,
        memory,
        register,
        new_bytes,
        set_size,
    ] = FOUND.each_ref().map(|found| found.load(Relaxed));
    // SAFETY: `find` found each of them, and these are their types.
    unsafe {
        if CURRENT.load(Relaxed).is_null() {
            CURRENT.store(api::dlsym(core::ptr::null_mut(), CURRENT_CPU.as_ptr()).cast(), Relaxed);
            BYTES.store(transmute::<*mut c_void, NewBytes>(new_bytes)(), Relaxed);
            number_cpus(transmute::<*mut c_void, GetCpu>(get_cpu));
        }
        let current = CURRENT.load(Relaxed);
        (!current.is_null()).then(|| Functions {
            is_idle: transmute::<*mut c_void, IsIdle>(is_idle),
            run_later: transmute::<*mut c_void, RunLater>(run_later),
            all_are_idle: transmute::<*mut c_void, AllAreIdle>(all_are_idle),
            start_warp: transmute::<*mut c_void, StartWarp>(start_warp),
            run_timers: transmute::<*mut c_void, RunTimers>(run_timers),
            icount_update: transmute::<*mut c_void, IcountUpdate>(update),
            icount_get: transmute::<*mut c_void, IcountGet>(get),
            read_memory: transmute::<*mut c_void, ReadMemory>(memory),
            read_register: transmute::<*mut c_void, ReadRegister>(register),
            set_size: transmute::<*mut c_void, SetSize>(set_size),
            bytes: BYTES.load(Relaxed),
            current,
        })
    }
}

/// # Safety
/// The function is QEMU's.
unsafe fn number_cpus(get_cpu: GetCpu) {
    for (number, cpu) in (0..).zip(&CPUS) {
        // SAFETY: as the caller promises; a number that no vCPU has gives null.
        cpu.store(unsafe { get_cpu(number) }, Relaxed);
    }
}

impl Functions {
    /// The vCPU that runs.
    pub(crate) fn current_cpu(&self) -> *mut CpuState {
        // SAFETY: this thread's variable, found by it.
        unsafe { *self.current }
    }

    /// A vCPU's number. QEMU tells plugins the wrong one when all run on one thread, since 8.1.
    pub(crate) fn number_of(&self, cpu: *mut CpuState, told: c_uint) -> c_uint {
        let is = |number: usize| CPUS.get(number).is_some_and(|known| known.load(Relaxed) == cpu);
        if is(told as usize) {
            told
        } else {
            (0..MAX_CPUS).find(|number| is(*number)).map_or(told, |number| number as c_uint)
        }
    }

    /// Whether every vCPU but the one that runs is halted, and nothing is pending for it.
    pub(crate) fn others_are_idle(&self) -> bool {
        let current = self.current_cpu();
        let all = CPUS.iter().map(|cpu| cpu.load(Relaxed)).take_while(|cpu| !cpu.is_null());
        // SAFETY: the vCPUs exist, and only this thread changes what is asked while one of them runs.
        all.filter(|cpu| *cpu != current).all(|cpu| unsafe { (self.is_idle)(cpu) })
    }

    /// Has QEMU call this on the emulation thread, with its lock, once the vCPU that runs has left its code.
    pub(crate) fn call_after(&self, work: Work) {
        // SAFETY: the vCPU exists, and the work looks at no data (a union of one word, include/hw/core/cpu.h).
        unsafe { (self.run_later)(self.current_cpu(), work, 0) };
    }

    /// While all vCPUs are halted, moves the guest's clock on to the next timer, which may wake one of them or none, and lets it
    /// run out; so many times at most.
    pub(crate) fn skip_idle_time(&self, at_most: usize) {
        // SAFETY: called on the emulation thread, with QEMU's lock.
        let is_idle = || unsafe { (self.all_are_idle)() };
        for _ in 0..at_most {
            if !is_idle() {
                return;
            }
            // SAFETY: as above.
            unsafe {
                (self.start_warp)();
                (self.run_timers)(CLOCK_VIRTUAL);
            }
        }
    }

    /// Has QEMU count what the vCPU has executed, up to the end of the block.
    pub(crate) fn count(&self) {
        // SAFETY: this is the emulation thread, which may bring the count up to date at any time.
        unsafe { (self.icount_update)(self.current_cpu()) };
    }

    /// The guest's clock, as QEMU has counted.
    pub(crate) fn guest_clock_ns(&self) -> u64 {
        self.count();
        // SAFETY: this is the emulation thread. Only to read the count in a block is refused while a vCPU runs
        // (accel/tcg/icount-common.c, `icount_get_raw_locked`), for it counts whole blocks, which the caller knows; so no vCPU
        // runs meanwhile.
        unsafe {
            let cpu = self.current_cpu();
            self.current.write(core::ptr::null_mut());
            let now = (self.icount_get)();
            self.current.write(cpu);
            now as u64
        }
    }

    /// The registers, in the order of [`super::layout`].
    pub(crate) fn registers(&self, cpu: *mut CpuState) -> [u64; REGISTERS] {
        let mut registers = [0; REGISTERS];
        // SAFETY: the array is GLib's own, and each call adds to it; as many bytes are read as were put there.
        unsafe {
            (self.set_size)(self.bytes, 0);
            for (number, into) in (0..).zip(&mut registers) {
                let number = if number + 1 == REGISTERS as c_int { GS_BASE } else { number };
                let begin = (*self.bytes).len;
                (self.read_register)(cpu, self.bytes, number);
                if (*self.bytes).len.wrapping_sub(begin) == 8 {
                    *into = (*self.bytes).data.add(begin as usize).cast::<u64>().read_unaligned();
                }
            }
        }
        registers
    }

    /// Copies guest memory at a virtual address; false when it is not all there.
    pub(crate) fn read_memory(&self, cpu: *mut CpuState, address: u64, into: &mut [u64], bytes: usize) -> bool {
        // SAFETY: the caller's words have room for these bytes.
        bytes <= size_of_val(into)
            && unsafe { (self.read_memory)(cpu, address, into.as_mut_ptr().cast(), bytes, false) } == 0
    }
}
