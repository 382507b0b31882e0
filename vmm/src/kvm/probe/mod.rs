//! Whether the host's KVM can run a kernel.
//!
//! Some nested hosts offer a KVM that runs user code but cannot do what every kernel does at privilege level 0. So a
//! throw-away guest does a few such things, in well under 10 ms where all is well.

mod program;

use super::join::join_all;
use super::kick::Kick;
use super::{Error, breakpoints, cpuid, registers, system, vcpu};
use crate::layout::{KVM_IDENTITY_MAP_GPA, KVM_TSS_GPA};
use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, kvm_regs, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use program::Step;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// A thousand times what a sound host needs, so that a busy one is not taken for a broken one.
const LIMIT: Duration = Duration::from_secs(2);

/// How long to try to get the vCPU's thread out of the guest.
const GIVE_UP: Duration = Duration::from_secs(1);

/// Whether KVM here can run a stock kernel. The device is `/dev/kvm`, or what the variable `KTSTR_KVM_DEVICE` names.
///
/// # Errors
/// Why not: no device, one that cannot be opened, one that lacks something, or one that cannot run a kernel's
/// instructions, with the instruction and what came back.
pub fn probe() -> Result<(), Error> {
    run(Guest::new(&system::open()?)?, LIMIT)
}

/// Whether KVM here stops at breakpoints. Under an emulated processor (QEMU before 10.0) it is told them and goes on.
///
/// # Errors
/// As [`probe`], and [`Error::NoBreakpoints`].
pub(super) fn probe_breakpoints() -> Result<(), Error> {
    let mut guest = Guest::new(&system::open()?)?;
    breakpoints::set(&guest.vcpu, &[program::CODE_GPA])?;
    guest.has_breakpoint = true;
    run(guest, LIMIT)
}

/// A guest of one vCPU and a few pages. The fields are in the order in which they may be dropped.
struct Guest {
    vcpu: VcpuFd,
    _vm: VmFd,
    _memory: GuestMemoryMmap,
    /// At its first instruction.
    has_breakpoint: bool,
}

impl Guest {
    fn new(kvm: &Kvm) -> Result<Self, Error> {
        let supported = kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(Error::call("list the features of its guests (KVM_GET_SUPPORTED_CPUID)"))?;
        let image = program::image(cpuid::has_xsave(supported.as_slice()));
        let vm = system::create_vm(kvm)?;
        let memory = memory(&vm, &image.bytes)?;
        vm.set_identity_map_address(KVM_IDENTITY_MAP_GPA)
            .and_then(|()| vm.set_tss_address(KVM_TSS_GPA as usize))
            .map_err(Error::call("reserve its pages (KVM_SET_TSS_ADDR)"))?;
        let vcpu = vm.create_vcpu(0).map_err(Error::call("create a vCPU (KVM_CREATE_VCPU)"))?;
        vcpu.set_cpuid2(&supported).map_err(Error::call("set the features of a vCPU (KVM_SET_CPUID2)"))?;
        let mut sregs = vcpu.get_sregs().map_err(Error::call("read a vCPU (KVM_GET_SREGS)"))?;
        registers::enter_long_mode(&mut sregs, program::GDT_GPA, program::PAGE_TABLES_GPA);
        image.set_system_registers(&mut sregs);
        vcpu.set_sregs(&sregs).map_err(Error::call("set a vCPU to 64-bit mode (KVM_SET_SREGS)"))?;
        let regs: kvm_regs = program::start_registers();
        vcpu.set_regs(&regs).map_err(Error::call("set a vCPU's registers (KVM_SET_REGS)"))?;
        Ok(Self { vcpu, _vm: vm, _memory: memory, has_breakpoint: false })
    }

    /// Runs until the guest halts, something fails, or `stop` is set, which gives `None`.
    fn run(&mut self, stop: &AtomicBool) -> Option<Result<(), Error>> {
        while !stop.load(Ordering::Relaxed) {
            let outcome = match self.vcpu.run() {
                Ok(VcpuExit::Debug(_)) if self.has_breakpoint => return Some(Ok(())),
                Ok(VcpuExit::Hlt) if self.has_breakpoint => return Some(Err(Error::NoBreakpoints)),
                Ok(VcpuExit::Hlt) => return Some(self.judge_halt()),
                Ok(VcpuExit::InternalError) => vcpu::internal_error(&mut self.vcpu),
                Ok(VcpuExit::Shutdown) => "KVM_EXIT_SHUTDOWN (a triple fault)".to_owned(),
                Ok(VcpuExit::FailEntry(reason, _)) => format!("KVM_EXIT_FAIL_ENTRY, reason {reason:#x}"),
                Ok(VcpuExit::Intr) => continue,
                Ok(other) => format!("the exit {other:?}"),
                Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => continue,
                Err(error) => format!("an error of KVM_RUN: {error}"),
            };
            return Some(Err(Error::ProbeFailed { instruction: self.step().instruction, outcome }));
        }
        None
    }

    fn step(&self) -> Step {
        self.vcpu.get_regs().map_or(Step::UNKNOWN, |regs| program::step(&regs))
    }

    fn judge_halt(&self) -> Result<(), Error> {
        match self.step() {
            Step { last: true, wrong: false, .. } => Ok(()),
            Step { instruction, .. } => Err(Error::ProbeFailed { instruction, outcome: "a wrong result".to_owned() }),
        }
    }
}

fn memory(vm: &VmFd, bytes: &[u8]) -> Result<GuestMemoryMmap, Error> {
    const ACTION: &str = "give memory to a machine (KVM_SET_USER_MEMORY_REGION)";
    let other = |error: String| Error::io(ACTION)(io::Error::other(error));
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), bytes.len())]).map_err(|e| other(e.to_string()))?;
    memory.write_slice(bytes, GuestAddress(0)).map_err(|error| other(error.to_string()))?;
    let start = memory.get_host_address(GuestAddress(0)).map_err(|error| other(error.to_string()))?;
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: bytes.len() as u64,
        userspace_addr: start as u64,
    };
    // SAFETY: the range is the mapping just made, which outlives the machine: both are fields of `Guest`, in that order.
    unsafe { vm.set_user_memory_region(region) }.map_err(Error::call(ACTION))?;
    Ok(memory)
}

/// Runs the guest on a thread of its own, which is left behind: the host takes its time over removing a machine, and one
/// that nothing gets back keeps all that it uses.
fn run(mut guest: Guest, limit: Duration) -> Result<(), Error> {
    let kick = Arc::new(Kick::new(&guest.vcpu)?);
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, verdict) = mpsc::channel();
    let thread = {
        let (kick, stop) = (Arc::clone(&kick), Arc::clone(&stop));
        std::thread::Builder::new().name("kvm-probe".into()).spawn(move || {
            let attached = kick.attach();
            let outcome = guest.run(&stop);
            drop(attached);
            if let Some(outcome) = outcome {
                let _ = sender.send(outcome);
            }
        })
    };
    let thread = thread.map_err(Error::io("start a thread"))?;
    let timed_out = Error::ProbeTimedOut { limit_ms: limit.as_millis() as u64 };
    if let Ok(outcome) = verdict.recv_timeout(limit) {
        return outcome;
    }
    stop.store(true, Ordering::Relaxed);
    // Whether it comes back or is left, the answer is the same.
    let _ = join_all(&mut vec![thread], GIVE_UP, || kick.kick());
    Err(timed_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs a /dev/kvm, of whatever quality"]
    fn a_guest_that_does_not_come_back_is_a_no() {
        let kvm = system::open().unwrap();
        let guest = Guest::new(&kvm).unwrap();
        let spin = [0xeb, 0xfe];
        guest._memory.write_slice(&spin, GuestAddress(program::CODE_GPA)).unwrap();
        let error = run(guest, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::ProbeTimedOut { limit_ms: 20 }), "{error}");
    }
}
