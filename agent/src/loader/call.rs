//! One system call of a stopped thread, made otherwise.
//!
//! A thread that stands before a system call can make another one first: its number and arguments are changed, and
//! behind it the instruction pointer is set back to the `syscall` instruction, so that the thread stands there again. All
//! that it notices in the end are the results. Its signals wait meanwhile: a handler would run between the calls, and a
//! pending signal makes the verifier give up.

use super::ptrace::{Entry, Event, Tracee};
use anyhow::{Context, Result};
use libc::user_regs_struct;
use std::io;

/// Size of the `syscall` instruction, 0f 05 (Intel SDM, volume 2).
const INSTRUCTION_BYTES: u64 = 2;
/// All but `SIGKILL` and `SIGSTOP`, which cannot be blocked.
const ALL_SIGNALS: u64 = u64::MAX;

/// Why a call was not made to its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The thread is gone, killed for instance.
    Gone,
    /// ptrace failed.
    Failed(anyhow::Error),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        // A thread that was killed is no longer stopped.
        if error.raw_os_error() == Some(libc::ESRCH) {
            Self::Gone
        } else {
            Self::Failed(anyhow::Error::new(error).context("ptrace(2) of the scheduler failed"))
        }
    }
}

/// A thread that stands before a system call.
pub(super) struct Call {
    pub(super) tracee: Tracee,
    pub(super) entry: Entry,
    /// As they are before the call.
    registers: user_regs_struct,
    blocked: u64,
    at: At,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Entry,
    Exit,
}

impl Call {
    pub(super) fn begin(tracee: Tracee, entry: Entry) -> Result<Self, Halt> {
        let (registers, blocked) = (tracee.registers()?, tracee.blocked_signals()?);
        tracee.block_signals(ALL_SIGNALS)?;
        Ok(Self { tracee, entry, registers, blocked, at: At::Entry })
    }

    /// Makes a call in place of the thread's; what the kernel returns.
    pub(super) fn make(&mut self, number: u64, args: [u64; 6]) -> Result<i64, Halt> {
        let mut registers = self.registers;
        if self.at == At::Exit {
            registers.rip -= INSTRUCTION_BYTES;
            registers.rax = number;
            self.tracee.set_registers(&registers)?;
            self.step()?;
            registers = self.registers;
            self.at = At::Entry;
        }
        registers.orig_rax = number;
        let [rdi, rsi, rdx, r10, r8, r9] = args;
        registers = user_regs_struct { rdi, rsi, rdx, r10, r8, r9, ..registers };
        self.tracee.set_registers(&registers)?;
        self.step()?;
        self.at = At::Exit;
        Ok(self.tracee.registers()?.rax as i64)
    }

    /// The thread's own call, with other arguments maybe.
    pub(super) fn make_own(&mut self, args: [u64; 6]) -> Result<i64, Halt> {
        self.make(self.entry.number, args)
    }

    /// Leaves the thread as if its own call had returned this.
    pub(super) fn finish(self, result: i64) -> Result<(), Halt> {
        let registers = user_regs_struct { rax: result as u64, ..self.registers };
        self.tracee.set_registers(&registers)?;
        self.tracee.block_signals(self.blocked)?;
        Ok(())
    }

    /// Leaves the thread before its own call.
    pub(super) fn give_up(mut self) -> Result<(), Halt> {
        if self.at == At::Exit {
            let result = self.make_own(self.entry.args)?;
            return self.finish(result);
        }
        self.tracee.block_signals(self.blocked)?;
        Ok(())
    }

    /// Lets the thread run to the next side of a call.
    fn step(&self) -> Result<(), Halt> {
        self.tracee.resume(0)?;
        loop {
            match self.tracee.wait().context("cannot wait for the scheduler").map_err(Halt::Failed)? {
                Event::Syscall => return Ok(()),
                Event::Gone => return Err(Halt::Gone),
                // Only SIGSTOP comes through; the thread obeys when the call is over.
                Event::Signal(signal) => self.tracee.resume(signal)?,
                Event::Child | Event::Exec | Event::Trap | Event::JobStop => self.tracee.resume(0)?,
            }
        }
    }
}

/// Memory of the thread's process that it does not know of.
pub(super) struct Room {
    pub(super) address: u64,
    pub(super) bytes: u64,
}

impl Room {
    /// Maps it; the kernel's error number if it refuses.
    pub(super) fn map(call: &mut Call, bytes: u64) -> Result<Result<Self, i32>, Halt> {
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as u64;
        let address = call.make(libc::SYS_mmap as u64, [0, bytes, protection, flags, u64::MAX, 0])?;
        // The last page of the address space is where errors are.
        Ok(if (-4095..0).contains(&address) {
            Err(-address as i32)
        } else {
            Ok(Self { address: address as u64, bytes })
        })
    }

    /// Gives it back.
    pub(super) fn unmap(self, call: &mut Call) -> Result<(), Halt> {
        call.make(libc::SYS_munmap as u64, [self.address, self.bytes, 0, 0, 0, 0]).map(drop)
    }
}
