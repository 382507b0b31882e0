//! Stop points: the host has control when a vCPU is about to execute an instruction of the kernel.
//!
//! Under emulation the whole machine stands still meanwhile, its time included, and nothing in the guest can tell. Under KVM
//! the other vCPUs go on.

mod code;

pub(crate) use code::check_is_code;

use crate::memory::GuestRam;
use std::fmt;
use std::time::Duration;

/// Values that can be taken at one point.
pub const MAX_READS: usize = 16;

/// Bytes that can be taken at one point, each value rounded up to eight.
pub const MAX_VALUE_BYTES: usize = 160;

/// Why there is no stop point.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not in the kernel's code.
    #[error("cannot stop at {address:#x}: it is not in the code of {kernel}, which its sections say is executable")]
    NoCode {
        /// As asked for.
        address: u64,
        /// The kernel.
        kernel: String,
    },
    /// The kernel's file does not say what is code.
    #[error("cannot stop at {address:#x}: the sections of {kernel} cannot be read: {why}")]
    Kernel {
        /// As asked for.
        address: u64,
        /// The kernel.
        kernel: String,
        /// What is wrong.
        why: String,
    },
    /// Too late.
    #[error("cannot stop at {address:#x}: the machine runs already, and stop points are set before it starts")]
    Running {
        /// As asked for.
        address: u64,
    },
    /// Too many.
    #[error("cannot stop at {address:#x}: this machine has {limit} stop points already, as many as {accel} can have")]
    TooMany {
        /// As asked for.
        address: u64,
        /// How many there can be.
        limit: usize,
        /// The backend.
        accel: &'static str,
    },
    /// More values than there is room for.
    #[error(
        "cannot take values at {address:#x}: {reads} reads of {bytes} bytes, and there is room for {MAX_READS} of \
         {MAX_VALUE_BYTES}"
    )]
    TooLarge {
        /// As asked for.
        address: u64,
        /// How many values.
        reads: usize,
        /// Their size, each rounded up to eight.
        bytes: usize,
    },
    /// A value's address is to be in a value that is not taken before it, or is no pointer.
    #[error(
        "cannot take value {number} at {address:#x}: it is behind value {behind}, which is not taken before it or has less than 8 bytes"
    )]
    Behind {
        /// As asked for.
        address: u64,
        /// The value's number.
        number: usize,
        /// That of the other.
        behind: usize,
    },
    /// The backend cannot.
    #[error("cannot stop at {address:#x}: {why}")]
    Backend {
        /// As asked for.
        address: u64,
        /// Why, and what to do.
        why: String,
    },
}

/// A general register, or the base of GS, which in the kernel is the start of the CPU's per-CPU variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the processor's names")]
#[rustfmt::skip]
pub enum Register { Rax, Rbx, Rcx, Rdx, Rsi, Rdi, Rbp, Rsp, R8, R9, R10, R11, R12, R13, R14, R15, GsBase }

/// Where a function's integer and pointer arguments are.
const ARGUMENTS: [Register; 6] =
    [Register::Rdi, Register::Rsi, Register::Rdx, Register::Rcx, Register::R8, Register::R9];

/// The registers of a vCPU, by [`Register`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers(pub(crate) [u64; 17]);

impl Registers {
    /// All zero, but for the arguments of a function ([`Self::argument`]).
    pub fn with_arguments(arguments: [u64; 6]) -> Self {
        let mut registers = [0; 17];
        for (register, argument) in ARGUMENTS.iter().zip(arguments) {
            registers[*register as usize] = argument;
        }
        Self(registers)
    }

    /// The value of one.
    pub fn get(&self, register: Register) -> u64 {
        self.0[register as usize]
    }

    /// An integer or pointer argument of a function at whose first instruction the vCPU is, from 0 to 5 (System V ABI, AMD64
    /// supplement, 3.2.3); `None` for those on the stack.
    pub fn argument(&self, number: usize) -> Option<u64> {
        ARGUMENTS.get(number).map(|register| self.get(*register))
    }
}

/// What an address is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// From 0: the offset is the address.
    None,
    /// From what is in a register.
    Register(Register),
    /// From the first eight bytes of a value that is taken before, by its number. What is behind 0 is not there.
    Value(usize),
}

/// Guest memory to be copied at a stop point: `bytes` bytes at a virtual address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// What the address is counted from.
    pub base: Base,
    /// What is added.
    pub offset: i64,
    /// How much is copied.
    pub bytes: usize,
}

/// A vCPU at a stop point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub vcpu: u32,
    /// Guest time since the machine started; under KVM, and at the host's pace, the host's.
    pub time: Duration,
    /// Its registers. QEMU before 9.0 tells them at the start of a basic block only, as where a function is entered.
    pub registers: Option<Registers>,
    /// What was asked for, in its order; `None` for memory that is not there.
    pub values: Vec<Option<Value>>,
}

/// A piece of guest memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value(pub(crate) Vec<u8>);

impl Value {
    /// These bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// As it lies in memory.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first eight bytes as a number, or all if there are less.
    pub fn number(&self) -> u64 {
        self.0.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// What is called while the machine, or under KVM the vCPU, stands still.
type Standing = dyn FnMut(&Hit, &GuestRam) + Send;

/// Who is told of a hit.
pub(crate) enum Callback {
    /// At once.
    Standing(Box<Standing>),
    /// Soon after, in the order of the hits.
    After(Box<dyn FnMut(&Hit) + Send>),
}

/// A stop point.
pub(crate) struct Hook {
    pub(crate) address: u64,
    pub(crate) reads: Vec<Read>,
    pub(crate) callback: Callback,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hook({:#x}, {:?})", self.address, self.reads)
    }
}

impl Hook {
    /// Checks that there is room for the values, and that each pointer is there before what is behind it.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn check_reads(&self) -> Result<(), Error> {
        let address = self.address;
        for (number, read) in self.reads.iter().enumerate() {
            if let Base::Value(behind) = read.base
                && self.reads[..number].get(behind).is_none_or(|pointer| pointer.bytes < 8)
            {
                return Err(Error::Behind { address, number, behind });
            }
        }
        let bytes = self.reads.iter().map(|read| read.bytes.next_multiple_of(8)).fold(0, usize::saturating_add);
        if self.reads.len() > MAX_READS || bytes > MAX_VALUE_BYTES {
            return Err(Error::TooLarge { address, reads: self.reads.len(), bytes });
        }
        Ok(())
    }

    /// Tells whoever wants to know.
    pub(crate) fn call(&mut self, hit: &Hit, ram: &GuestRam) {
        match &mut self.callback {
            Callback::Standing(callback) => callback(hit, ram),
            Callback::After(callback) => callback(hit),
        }
    }
}

/// Why the machine is over when a callback has panicked.
pub(crate) fn panicked(address: u64, payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)");
    format!("the callback of the stop point at {address:#x} panicked: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTER: Read = Read { base: Base::Register(Register::Rdi), offset: 8, bytes: 8 };

    fn check(reads: &[Read]) -> Result<(), Error> {
        let callback = Callback::After(Box::new(|_| {}));
        Hook { address: 0x1000, reads: reads.to_vec(), callback }.check_reads()
    }

    #[test]
    fn values_must_fit_and_pointers_come_first() {
        let behind = |number| Read { base: Base::Value(number), offset: 0, bytes: 4 };
        assert!(check(&[]).is_ok() && check(&[POINTER, behind(0)]).is_ok());
        assert!(matches!(check(&[behind(0)]), Err(Error::Behind { number: 0, behind: 0, .. })));
        assert!(matches!(check(&[POINTER, behind(0), behind(1)]), Err(Error::Behind { number: 2, behind: 1, .. })));
        assert!(check(&[POINTER; MAX_READS]).is_ok());
        assert!(matches!(check(&[POINTER; MAX_READS + 1]), Err(Error::TooLarge { .. })));
        assert!(check(&[Read { bytes: 153, ..POINTER }]).is_ok());
        assert!(matches!(check(&[Read { bytes: 161, ..POINTER }]), Err(Error::TooLarge { bytes: 168, .. })));
        assert!(matches!(check(&[Read { bytes: usize::MAX - 8, ..POINTER }; 3]), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn arguments_are_in_the_registers_of_the_calling_convention() {
        let registers = Registers(std::array::from_fn(|number| number as u64));
        let arguments: Vec<_> = (0..7).map(|number| registers.argument(number)).collect();
        assert_eq!(arguments, [Some(5), Some(4), Some(3), Some(2), Some(8), Some(9), None]);
    }

    #[test]
    fn numbers_are_little_endian() {
        assert_eq!(Value(vec![1, 2]).number(), 0x201);
        assert_eq!(Value(vec![0, 0, 0, 0, 0, 0, 0, 1, 9]).number(), 1 << 56);
    }
}
