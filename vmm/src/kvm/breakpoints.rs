//! Stop points: the processor's debug registers, by which a vCPU leaves the guest before it executes an instruction
//! (Documentation/virt/kvm/api.rst, KVM_SET_GUEST_DEBUG; SDM volume 3, section 18.2).
//!
//! Meanwhile breakpoints that the guest sets itself have no effect.

use super::Error;
use super::probe::probe_breakpoints;
use crate::memory::GuestRam;
use crate::stops::{self, Hit, Hook, Read, Registers, Value, panicked};
use kvm_bindings::{KVM_GUESTDBG_ENABLE, KVM_GUESTDBG_USE_HW_BP, kvm_guest_debug, kvm_regs};
use kvm_ioctls::VcpuFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;
use vm_memory::{Bytes, GuestAddress};

/// DR0 to DR3.
pub(super) const MAX_HOOKS: usize = 4;

/// In DR7: the bit that is always set, and those that enable breakpoint N for all tasks. Kind and length, all zeros, are those
/// of instructions.
const DR7: usize = 7;
const DR7_FIXED: u64 = 1 << 10;
const fn dr7_global(number: usize) -> u64 {
    2 << (2 * number)
}

/// In RFLAGS: the next instruction is executed in spite of a breakpoint there.
const RESUME: u64 = 1 << 16;

const PAGE: u64 = 4096;

/// Whether KVM here stops at breakpoints; asked once in a process.
///
/// # Errors
/// Why not.
pub(super) fn check() -> Result<(), String> {
    static WORK: OnceLock<Result<(), String>> = OnceLock::new();
    WORK.get_or_init(|| probe_breakpoints().map_err(|error| error.to_string())).clone()
}

/// Makes a vCPU stop at up to [`MAX_HOOKS`] addresses.
///
/// # Errors
/// [`Error::Call`].
pub(super) fn set(vcpu: &VcpuFd, addresses: &[u64]) -> Result<(), Error> {
    let mut debug = kvm_guest_debug { control: KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP, ..Default::default() };
    debug.arch.debugreg[DR7] = DR7_FIXED;
    for (number, address) in addresses.iter().enumerate().take(MAX_HOOKS) {
        debug.arch.debugreg[number] = *address;
        debug.arch.debugreg[DR7] |= dr7_global(number);
    }
    vcpu.set_guest_debug(&debug).map_err(Error::call("set a vCPU's breakpoints (KVM_SET_GUEST_DEBUG)"))
}

/// All stop points of one machine.
pub(super) struct Breakpoints {
    addresses: Vec<u64>,
    hooks: Mutex<Vec<Hook>>,
    ram: GuestRam,
    begin: Instant,
}

impl Breakpoints {
    /// Stop points of a machine that begins now.
    pub(super) fn new(hooks: Vec<Hook>, ram: GuestRam) -> Self {
        let addresses = hooks.iter().map(|hook| hook.address).collect();
        Self { addresses, hooks: Mutex::new(hooks), ram, begin: Instant::now() }
    }

    /// Makes a vCPU stop at them.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn arm(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        set(vcpu, &self.addresses)
    }

    /// A vCPU stands before the instruction at `pc`: makes the callbacks, and lets it go on.
    ///
    /// # Errors
    /// Why the machine cannot go on.
    pub(super) fn reached(&self, number: usize, vcpu: &VcpuFd, pc: u64) -> Result<(), String> {
        let mut regs = vcpu.get_regs().map_err(|error| format!("KVM_GET_REGS failed: {error}"))?;
        let gs_base = vcpu.get_sregs().map_err(|error| format!("KVM_GET_SREGS failed: {error}"))?.gs.base;
        let time = self.begin.elapsed();
        let registers = registers(&regs, gs_base);
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        for hook in hooks.iter_mut().filter(|hook| hook.address == pc) {
            let values = self.take(vcpu, &registers, &hook.reads);
            let hit = Hit { vcpu: number as u32, time, registers: Some(registers), values };
            let called = catch_unwind(AssertUnwindSafe(|| hook.call(&hit, &self.ram)));
            called.map_err(|payload| panicked(pc, payload.as_ref()))?;
        }
        regs.rflags |= RESUME;
        vcpu.set_regs(&regs).map_err(|error| format!("KVM_SET_REGS failed: {error}"))
    }

    fn take(&self, vcpu: &VcpuFd, registers: &Registers, reads: &[Read]) -> Vec<Option<Value>> {
        let mut values: Vec<Option<Value>> = Vec::with_capacity(reads.len());
        for read in reads {
            let base = match read.base {
                stops::Base::None => Some(0),
                stops::Base::Register(register) => Some(registers.get(register)),
                stops::Base::Value(number) => {
                    values.get(number).and_then(Option::as_ref).map(Value::number).filter(|pointer| *pointer != 0)
                }
            };
            let address = base.map(|base| base.wrapping_add_signed(read.offset));
            values.push(address.and_then(|address| self.read(vcpu, address, read.bytes)));
        }
        values
    }

    /// Guest memory at a virtual address, as this vCPU sees it.
    fn read(&self, vcpu: &VcpuFd, address: u64, bytes: usize) -> Option<Value> {
        let mut value = vec![0; bytes];
        let mut done = 0;
        while done < bytes {
            let gva = address.checked_add(done as u64)?;
            let room = usize::try_from(PAGE - gva % PAGE).ok()?.min(bytes - done);
            let place = vcpu.translate_gva(gva).ok().filter(|place| place.valid != 0)?;
            let into = value.get_mut(done..done + room)?;
            self.ram.mapped().read_slice(into, GuestAddress(place.physical_address)).ok()?;
            done += room;
        }
        Some(Value(value))
    }
}

/// In the order of [`stops::Register`].
#[rustfmt::skip]
fn registers(regs: &kvm_regs, gs_base: u64) -> Registers {
    Registers([
        regs.rax, regs.rbx, regs.rcx, regs.rdx, regs.rsi, regs.rdi, regs.rbp, regs.rsp,
        regs.r8, regs.r9, regs.r10, regs.r11, regs.r12, regs.r13, regs.r14, regs.r15, gs_base,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stops::Register;

    #[test]
    fn registers_are_found_by_their_names() {
        let regs = kvm_regs { rax: 1, rdi: 2, rsi: 3, r8: 4, r15: 5, ..Default::default() };
        let registers = registers(&regs, 6);
        let all = [Register::Rax, Register::Rdi, Register::Rsi, Register::R8, Register::R15, Register::GsBase];
        assert_eq!(all.map(|register| registers.get(register)), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn breakpoints_are_enabled_for_all_tasks() {
        assert_eq!([0, 1, 2, 3].map(dr7_global), [0x2, 0x8, 0x20, 0x80]);
    }
}
