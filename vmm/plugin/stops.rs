//! Stop points: what the machine was about to do when a vCPU reached an address of the kernel, told to the harness.
//!
//! The emulation thread is in here meanwhile, so the whole machine stands still, its time included.

use super::api::{self, Block, CpuState};
use super::arguments::Arguments;
use super::freeze;
use super::layout::{
    BASE_NONE, BASE_VALUE, Counts, Hit, Hook, NOT_COUNTED, REGISTERS, Read, SLOTS, Shared, VALUE_WORDS,
};
use super::qemu::{self, Functions};
use super::waits;
use core::ffi::{c_int, c_uint, c_void};
use core::sync::atomic::{AtomicPtr, Ordering::*};

/// The harness's file.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(core::ptr::null_mut());

/// A block of code is not longer, in bytes: QEMU ends it with its page, or within the next (`translator_loop`).
const BLOCK_SPAN: u64 = 2 * 4096;

/// A callback's data: the hook's number, whether registers are to be had, and how many instructions of the block are left.
const HOOK_MASK: usize = 0xff;
const HAS_REGISTERS: usize = 0x100;
const REST_SHIFT: u32 = 16;

/// Since this interface QEMU keeps registers up to date for callbacks within a block. Between blocks all do.
const REGISTERS_WITHIN: c_int = 2;

/// Hits that wait before a harness that sleeps is woken for them.
const WAKE_AT: u32 = SLOTS / 4;

/// Reads the argument `stops=DESCRIPTOR`, without which there are no stop points. A QEMU that lacks what they need is told to
/// the harness, which may not need them.
pub(crate) fn install(arguments: &Arguments) {
    let Some(fd) = arguments.iter().find_map(|(name, value)| (name == b"stops=").then_some(value)) else { return };
    // SAFETY: a fresh mapping of a file of this size, which nobody makes shorter.
    let shared: *mut Shared = unsafe { api::map_shared(fd as c_int, size_of::<Shared>()) }.cast();
    if shared.is_null() {
        return;
    }
    if qemu::find() && freeze::find() {
        SHARED.store(shared, Relaxed);
    } else {
        // SAFETY: mapped above.
        unsafe { &(*shared).counts.refused }.store(1, Relaxed);
    }
}

/// What the harness and the plugin tell each other, where there is everything that it takes.
pub(crate) fn counts() -> Option<&'static Counts> {
    // SAFETY: the mapping stays, and its first part are atomics.
    unsafe { SHARED.load(Relaxed).as_ref().map(|shared| &shared.counts) }
}

/// Whether guest time is a count of instructions, as the harness has told.
pub(crate) fn counts_instructions() -> bool {
    counts().is_some_and(|counts| counts.icount_shift.load(Relaxed) != NOT_COUNTED)
}

/// Asks to be called before each instruction of the block that is at a stop point.
///
/// # Safety
/// The block is the one being translated.
pub(crate) unsafe fn on_translation(block: *mut Block, interface: c_int) {
    let shared = SHARED.load(Relaxed);
    if shared.is_null() {
        return;
    }
    // SAFETY: as the caller promises, and the mapping stays; the harness sets hooks only before anything is translated.
    unsafe {
        let start = api::qemu_plugin_tb_vaddr(block);
        let hooks = (*shared).counts.hooks.load(Acquire) as usize;
        for (number, hook) in (*shared).hook.iter().enumerate().take(hooks) {
            let address = hook.address;
            if address.wrapping_sub(start) < BLOCK_SPAN {
                hook_instruction(block, number, address, interface);
            }
        }
    }
}

/// # Safety
/// As [`on_translation`].
unsafe fn hook_instruction(block: *mut Block, hook: usize, address: u64, interface: c_int) {
    // SAFETY: as the caller promises; the callback takes numbers for data, no pointer.
    unsafe {
        let count = api::qemu_plugin_tb_n_insns(block);
        for index in 0..count {
            let instruction = api::qemu_plugin_tb_get_insn(block, index);
            if api::qemu_plugin_insn_vaddr(instruction) == address {
                let registers = if index == 0 || interface >= REGISTERS_WITHIN { HAS_REGISTERS } else { 0 };
                let data = core::ptr::without_provenance_mut(hook | registers | (count - index) << REST_SHIFT);
                api::qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_hit, api::READS_REGISTERS, data);
            }
        }
    }
}

/// A vCPU is about to execute the instruction at a stop point.
extern "C" fn on_hit(vcpu: c_uint, data: *mut c_void) {
    let (hook, rest) = (data.addr() & HOOK_MASK, (data.addr() >> REST_SHIFT) as u64);
    let has_registers = u32::from(data.addr() & HAS_REGISTERS != 0);
    let (shared, Some(functions)) = (SHARED.load(Relaxed), qemu::functions()) else { return };
    // SAFETY: the mapping stays; the harness sets hooks only before anything is translated.
    let (counts, hooks) = unsafe { (&(*shared).counts, &(*shared).hook) };
    let Some(hook_at) = hooks.get(hook) else { return };
    let number = counts.written.load(Relaxed);
    waits::wait(counts, number.wrapping_sub(SLOTS - 1));
    let hit = Hit {
        hook: hook as u32,
        has_registers,
        time_ns: time_ns(&functions, counts.icount_shift.load(Relaxed), rest),
        ..taken(&functions, hook_at, vcpu)
    };
    // SAFETY: only this thread writes hits, and the harness is through with what was in this one.
    unsafe { (&raw mut (*shared).hit).cast::<Hit>().add((number % SLOTS) as usize).write(hit) };
    let written = number.wrapping_add(1);
    counts.written.store(written, SeqCst);
    if hook_at.stands != 0 {
        waits::wait(counts, written);
    } else if written.wrapping_sub(counts.handled.load(Relaxed)) >= WAKE_AT {
        waits::wake(counts);
    }
}

/// What a hit has of the vCPU.
fn taken(functions: &Functions, hook: &Hook, vcpu: c_uint) -> Hit {
    let cpu = functions.current_cpu();
    let register = functions.registers(cpu);
    let mut value = [0; VALUE_WORDS];
    let read = take(functions, cpu, hook, &register, &mut value);
    Hit { hook: 0, vcpu: functions.number_of(cpu, vcpu), time_ns: 0, has_registers: 0, read, register, value }
}

/// Copies what the hook asks for, and says of what that was possible.
fn take(
    functions: &Functions,
    cpu: *mut CpuState,
    hook: &Hook,
    registers: &[u64; REGISTERS],
    values: &mut [u64; VALUE_WORDS],
) -> u32 {
    let (mut done, mut word) = (0, 0);
    for (number, read) in hook.read.iter().take(hook.reads as usize).enumerate() {
        let words = read.bytes.div_ceil(8) as usize;
        let Some(address) = address_of(read, registers, values) else {
            word += words;
            continue;
        };
        let Some(into) = values.get_mut(word..word + words) else { break };
        into.fill(0);
        if functions.read_memory(cpu, address, into, read.bytes as usize) {
            done |= 1 << number;
        } else {
            into.fill(0);
        }
        word += words;
    }
    done
}

fn address_of(read: &Read, registers: &[u64; REGISTERS], values: &[u64; VALUE_WORDS]) -> Option<u64> {
    let base = match read.base {
        BASE_NONE => 0,
        register if register < BASE_VALUE => *registers.get(register as usize)?,
        value => match *values.get((value - BASE_VALUE) as usize)? {
            // What is behind no pointer is nothing.
            0 => return None,
            pointer => pointer,
        },
    };
    Some(base.wrapping_add_signed(read.offset))
}

/// The guest's clock before the instruction. QEMU has counted all of the block's already.
fn time_ns(functions: &Functions, shift: u32, rest: u64) -> u64 {
    if shift == NOT_COUNTED { 0 } else { functions.guest_clock_ns().wrapping_sub(rest << shift) }
}
