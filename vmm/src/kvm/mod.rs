//! The KVM backend: our own in-process monitor on `/dev/kvm`.
//!
//! It boots an ELF vmlinux directly, without firmware or decompressor, on a machine that has the declared CPUs, RAM, two
//! serial ports, a way to power off and a way to reset. Everything that describes the machine to the guest (`acpi`,
//! `cpuid`, `boot`, `registers`) is a value made by pure functions; `machine` hands the values to KVM, `threads` runs
//! the vCPUs.

mod acpi;
pub(crate) mod boot;
mod breakpoints;
mod cpuid;
mod devices;
mod early_clock;
mod error;
mod exits;
mod join;
mod kick;
mod limits;
mod machine;
mod probe;
mod registers;
pub(crate) mod state;
mod system;
mod threads;
mod vcpu;

pub use boot::Error as BootError;
pub use devices::Error as DeviceError;
pub use error::Error;
pub(crate) use machine::{KvmMachine, check, identity};
pub use probe::probe;
