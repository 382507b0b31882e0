//! A kernel whose vCPUs share host CPUs uses its clock before it starts the other CPUs, rather than later in its boot.
//!
//! Until then all of its CPUs tick, idle ones too: with dozens of them on one CPU of the host, the ticks take nearly all of
//! it. So the kernel stops once at a trap in the function that starts the others, the host puts back what was there, and the
//! boot CPU first calls what it would call itself afterwards, and does again then.

use super::Error;
use crate::memory::GuestRam;
use crate::timers::{ClockCode, image_gpa};
use kvm_ioctls::VcpuFd;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use vm_memory::{Bytes, GuestAddress};

/// Where there is no device.
const PORT: u8 = 0xf4;

/// `out PORT, al`: leaves the guest on every processor, and changes nothing.
const TRAP: [u8; 2] = [0xe6, PORT];

/// How a function begins: `endbr64`, then the call of `__fentry__` or its place. Both the kernel looks at and changes; what
/// follows it leaves alone.
const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
const CALL: u8 = 0xe8;
const NOP_5: [u8; 5] = [0x0f, 0x1f, 0x44, 0x00, 0x00];
const PROLOGUE_BYTES: usize = ENDBR.len() + NOP_5.len();

/// What is to be done at the trap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trap {
    gva: u64,
    /// What was in its place.
    original: [u8; TRAP.len()],
    clocksource_done_booting: u64,
}

/// The trap.
pub(super) struct EarlyClock {
    trap: Trap,
    is_due: AtomicBool,
    ram: GuestRam,
}

impl EarlyClock {
    /// Sets the trap in the loaded kernel; `None` where its function is not where it is said to be.
    pub(super) fn set(code: &ClockCode, ram: &GuestRam) -> Option<Self> {
        let mut begin = [0; PROLOGUE_BYTES + TRAP.len()];
        let gpa = image_gpa(code.smp_init, begin.len() as u64, ram.layout().low.bytes)?;
        ram.mapped().read_slice(&mut begin, GuestAddress(gpa)).ok()?;
        let skip = prologue_bytes(&begin);
        let original = [begin[skip], begin[skip + 1]];
        ram.mapped().write_slice(&TRAP, GuestAddress(gpa + skip as u64)).ok()?;
        let (gva, clocksource_done_booting) = (code.smp_init + skip as u64, code.clocksource_done_booting);
        Some(Self::again(Trap { gva, original, clocksource_done_booting }, ram))
    }

    /// Of a kernel in which the trap is set.
    pub(super) fn again(trap: Trap, ram: &GuestRam) -> Self {
        Self { trap, is_due: AtomicBool::new(true), ram: ram.clone() }
    }

    /// The trap, if the kernel has not come there.
    pub(super) fn trap(&self) -> Option<Trap> {
        self.is_due.load(Ordering::Relaxed).then(|| self.trap.clone())
    }

    /// Whether a write to this port may be the trap.
    pub(super) fn may_be_at(&self, port: u16) -> bool {
        port == u16::from(PORT) && self.is_due.load(Ordering::Relaxed)
    }

    /// A vCPU has written to the trap's port: if it is at the trap, the trap is gone and the vCPU is about to make the call.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(super) fn reached(&self, vcpu: &VcpuFd) -> Result<(), Error> {
        let mut regs = vcpu.get_regs().map_err(Error::call("read a vCPU's registers (KVM_GET_REGS)"))?;
        // KVM before Linux 5.1 goes on to the next instruction first.
        let is_here = [0, TRAP.len() as u64].contains(&regs.rip.wrapping_sub(self.trap.gva));
        if !is_here || !self.is_due.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let trap = vcpu.translate_gva(self.trap.gva).map_err(Error::call("find a kernel's code (KVM_TRANSLATE)"))?;
        self.write(trap.physical_address, &self.trap.original)?;
        // As the instruction CALL does, with what was at the trap as the next one. Neither function takes an argument.
        regs.rsp = regs.rsp.wrapping_sub(size_of::<u64>() as u64);
        let top = vcpu.translate_gva(regs.rsp).map_err(Error::call("find a kernel's stack (KVM_TRANSLATE)"))?;
        self.write(top.physical_address, &self.trap.gva.to_le_bytes())?;
        regs.rip = self.trap.clocksource_done_booting;
        vcpu.set_regs(&regs).map_err(Error::call("set a vCPU's registers (KVM_SET_REGS)"))
    }

    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = self.ram.mapped().write_slice(bytes, GuestAddress(gpa));
        written.map_err(|error| Error::io("change a kernel's code or stack")(std::io::Error::other(error.to_string())))
    }
}

/// How long the part of a function's beginning is that is not its own.
fn prologue_bytes(begin: &[u8]) -> usize {
    let skip = if begin.starts_with(&ENDBR) { ENDBR.len() } else { 0 };
    let rest = &begin[skip..];
    if rest.starts_with(&[CALL]) || rest.starts_with(&NOP_5) { skip + NOP_5.len() } else { skip }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_where_a_function_begins_itself() {
        for (begin, expected) in [
            (&b"\xf3\x0f\x1e\xfa\xe8\x47\x21\xa3\xfd\xe8\x92"[..], 9),
            (b"\xf3\x0f\x1e\xfa\x0f\x1f\x44\x00\x00\x55\x41", 9),
            (b"\xf3\x0f\x1e\xfa\x55\x41\x54\x41\x55\x41\x56", 4),
            (b"\xe8\x47\x21\xa3\xfd\x55\x41\x54\x41\x55\x41", 5),
            (b"\x55\x41\x54\x41\x55\x41\x56\x41\x57\x48\x89", 0),
        ] {
            assert_eq!(prologue_bytes(begin), expected, "{begin:x?}");
        }
    }
}
