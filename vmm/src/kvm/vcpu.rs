//! One vCPU: its first state, and the loop that runs it.

use super::breakpoints::Breakpoints;
use super::devices::Ports;
use super::early_clock::EarlyClock;
use super::state::msrs;
use super::{Error, registers};
use crate::layout::{BOOT_GDT_GPA, BOOT_PAGE_TABLES_GPA, BOOT_PARAMS_GPA};
use crate::machine::Exit;
use kvm_bindings::{CpuId, kvm_cpuid_entry2, kvm_regs};
use kvm_ioctls::{VcpuExit, VcpuFd};
use std::io;

const MSR_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRING: u64 = 1;
const MSR_MTRR_DEFAULT_TYPE: u32 = 0x2ff;
/// Enabled, all memory write-back: without it the guest's kernel maps the reserved range uncached.
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// In IA32_APIC_BASE.
const APIC_BASE_X2APIC: u64 = 1 << 10;

/// Registers of the local interrupt controller (SDM volume 3, section 12.4.1), and delivery modes.
const LVT_LINT0: usize = 0x350;
const LVT_LINT1: usize = 0x360;
const EXTERNAL_INTERRUPT: u32 = 0b111 << 8;
const NON_MASKABLE: u32 = 0b100 << 8;

/// The only flag that is always set.
const RFLAGS_RESERVED: u64 = 1 << 1;

/// Gives a vCPU its features and what firmware would set up.
///
/// # Errors
/// What KVM refused.
pub(super) fn configure(vcpu: &VcpuFd, leaves: &[kvm_cpuid_entry2]) -> Result<(), Error> {
    let cpuid = CpuId::from_entries(leaves)
        .map_err(|error| Error::io("describe a vCPU's features")(io::Error::other(format!("{error:?}"))))?;
    vcpu.set_cpuid2(&cpuid).map_err(Error::call("set the features of a vCPU (KVM_SET_CPUID2)"))?;
    msrs::set(vcpu, &[(MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING), (MSR_MTRR_DEFAULT_TYPE, MTRR_WRITE_BACK)])?;
    set_local_interrupts(vcpu)
}

/// LINT0 takes the legacy controller's interrupts, LINT1 non-maskable ones, as on every PC.
fn set_local_interrupts(vcpu: &VcpuFd) -> Result<(), Error> {
    let mut lapic = vcpu.get_lapic().map_err(Error::call("read an interrupt controller (KVM_GET_LAPIC)"))?;
    for (register, mode) in [(LVT_LINT0, EXTERNAL_INTERRUPT), (LVT_LINT1, NON_MASKABLE)] {
        for (to, from) in lapic.regs[register..].iter_mut().zip(mode.to_le_bytes()) {
            *to = from.cast_signed();
        }
    }
    vcpu.set_lapic(&lapic).map_err(Error::call("set an interrupt controller (KVM_SET_LAPIC)"))
}

/// Puts a vCPU's interrupt controller into x2APIC mode, as firmware does that finds APIC ids above 254 (SDM volume 3, section
/// 12.12.1): Linux takes CPUs with such ids only if it starts in that mode (arch/x86/kernel/acpi/boot.c,
/// acpi_parse_x2apic). Needs the vCPU's features.
///
/// # Errors
/// [`Error::Call`].
pub(super) fn enter_x2apic_mode(vcpu: &VcpuFd) -> Result<(), Error> {
    let mut sregs = vcpu.get_sregs().map_err(Error::call("read a vCPU (KVM_GET_SREGS)"))?;
    sregs.apic_base |= APIC_BASE_X2APIC;
    vcpu.set_sregs(&sregs).map_err(Error::call("set a vCPU to x2APIC mode (KVM_SET_SREGS)"))
}

/// Puts the boot vCPU at the kernel's 64-bit entry (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol").
///
/// # Errors
/// [`Error::Call`].
pub(super) fn enter_kernel(vcpu: &VcpuFd, entry_gpa: u64) -> Result<(), Error> {
    let mut sregs = vcpu.get_sregs().map_err(Error::call("read a vCPU (KVM_GET_SREGS)"))?;
    registers::enter_long_mode(&mut sregs, BOOT_GDT_GPA, BOOT_PAGE_TABLES_GPA);
    vcpu.set_sregs(&sregs).map_err(Error::call("set a vCPU to 64-bit mode (KVM_SET_SREGS)"))?;
    let regs = kvm_regs { rip: entry_gpa, rsi: BOOT_PARAMS_GPA, rflags: RFLAGS_RESERVED, ..Default::default() };
    vcpu.set_regs(&regs).map_err(Error::call("set a vCPU's registers (KVM_SET_REGS)"))
}

/// What a vCPU is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Run.
    Run,
    /// Stand still, with all done that KVM has begun.
    Stand,
    /// End, however it stands.
    End,
}

/// Runs a vCPU as long as that is wanted, which gives `None`, or until the machine is over.
pub(super) fn run(
    (number, vcpu): (usize, &mut VcpuFd),
    ports: &Ports,
    clock: Option<&EarlyClock>,
    breakpoints: Option<&Breakpoints>,
    wanted: impl Fn() -> Wanted,
) -> Option<Exit> {
    if let Some(Err(error)) = breakpoints.map(|breakpoints| breakpoints.arm(vcpu)) {
        return Some(Exit::Broken(error.to_string()));
    }
    while wanted() != Wanted::End {
        let over = match vcpu.run() {
            Ok(VcpuExit::IoOut(port, _)) if clock.is_some_and(|clock| clock.may_be_at(port)) => {
                clock.and_then(|clock| clock.reached(vcpu).err()).map(|error| Exit::Broken(error.to_string()))
            }
            Ok(VcpuExit::IoOut(port, bytes)) => match ports.write(port, bytes) {
                Ok(over) => over,
                Err(error) => Some(Exit::Broken(error.to_string())),
            },
            Ok(VcpuExit::IoIn(port, bytes)) => {
                ports.read(port, bytes).err().map(|error| Exit::Broken(error.to_string()))
            }
            Ok(VcpuExit::MmioRead(_, bytes)) => {
                Ports::read_memory(bytes);
                None
            }
            Ok(VcpuExit::MmioWrite(..) | VcpuExit::Intr) => None,
            Ok(VcpuExit::Debug(at)) => {
                breakpoints.and_then(|breakpoints| breakpoints.reached(number, vcpu, at.pc).err()).map(Exit::Broken)
            }
            Ok(VcpuExit::Shutdown) => Some(Exit::TripleFault),
            Ok(VcpuExit::FailEntry(reason, cpu)) => Some(Exit::Broken(format!(
                "the host's processor {cpu} would not enter the guest: KVM_EXIT_FAIL_ENTRY, reason {reason:#x}"
            ))),
            Ok(VcpuExit::InternalError) => Some(Exit::Broken(internal_error(vcpu))),
            Ok(other) => Some(Exit::Broken(format!("KVM ended the guest's run with {other:?}"))),
            // Only here it may stand: before, KVM has yet to give the guest what it has read from a port, for one, and does so
            // as it is entered again, even if it is told to leave at once (Documentation/virt/kvm/api.rst, KVM_RUN).
            Err(error) if error.errno() == libc::EINTR && wanted() == Wanted::Stand => return None,
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => None,
            Err(error) => Some(Exit::Broken(format!("KVM_RUN failed: {error}"))),
        };
        if over.is_some() {
            return over;
        }
    }
    None
}

/// What KVM says about an exit with KVM_EXIT_INTERNAL_ERROR, which was the last.
pub(super) fn internal_error(vcpu: &mut VcpuFd) -> String {
    // SAFETY: the exit reason says that `internal` is the member that KVM filled; it is plain numbers.
    let suberror = unsafe { vcpu.get_kvm_run().__bindgen_anon_1.internal.suberror };
    let meaning = match suberror {
        kvm_bindings::KVM_INTERNAL_ERROR_EMULATION => " (it could not emulate an instruction)",
        kvm_bindings::KVM_INTERNAL_ERROR_SIMUL_EX => " (exceptions in parallel)",
        kvm_bindings::KVM_INTERNAL_ERROR_DELIVERY_EV => " (an event could not be delivered)",
        kvm_bindings::KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON => " (the processor exited for an unknown reason)",
        _ => "",
    };
    let at =
        vcpu.get_regs().map_or_else(|error| format!("an unknown address ({error})"), |regs| format!("{:#x}", regs.rip));
    format!("KVM_EXIT_INTERNAL_ERROR, suberror {suberror}{meaning}, at rip {at}")
}
