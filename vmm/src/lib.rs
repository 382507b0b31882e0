//! A declared CPU topology becomes a running virtual machine.
//!
//! [`Vm`] has one face and two backends: [`kvm`], our own monitor on the rust-vmm crates, and [`qemu`], deterministic
//! software emulation for hosts without a usable KVM. Both run the same guest: the same kernel and initramfs, the
//! console on COM1, the control channel on COM2, and a reserved range of memory that the host maps.
//!
//! The crate returns handles (memory, console, control, vCPU clocks) and decides nothing about what they mean.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ktstr_vmm::{Accel, Pace, Vm, VmConfig};
//! use ktstr_wire::{Machine, Topology};
//!
//! let (accel, _why) = Accel::Auto.choose()?;
//! let config = VmConfig {
//!     kernel: "vmlinux".into(),
//!     initramfs: "initramfs.cpio".into(),
//!     machine: Machine::new(Topology::new(2, 2, 1), 512 << 20),
//!     reserved_bytes: 2 << 20,
//!     timers: None,
//!     kargs: Vec::new(),
//!     seed: 1,
//!     accel,
//!     placement: None,
//!     pace: Pace::Instructions,
//! };
//! let mut vm = Vm::new(&config)?;
//! // Where its /proc/kallsyms has the function, for the kernel is not moved.
//! vm.stop_at(0xffff_ffff_8112_3450, |hit, _ram| eprintln!("CPU {} at {:?}", hit.vcpu, hit.time))?;
//! vm.start()?;
//! while vm.exit().is_none() {
//!     std::thread::sleep(std::time::Duration::from_millis(10));
//!     print!("{}", String::from_utf8_lossy(&vm.read_console()?));
//! }
//! # Ok(())
//! # }
//! ```

mod accel;
mod access;
mod apic_id;
pub mod budget;
pub mod cmdline;
mod config;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod host_cpus;
mod identity;
pub mod kvm;
pub mod layout;
mod machine;
mod memfd;
mod memory;
pub mod placement;
mod private_pages;
pub mod qemu;
mod serial_log;
pub mod snapshot;
pub mod stops;
mod timers;
mod vm;

pub use accel::{Accel, Chosen};
pub use config::{Pace, VmConfig};
pub use error::Error;
pub use machine::{Exit, VcpuClock};
pub use memory::{Backing, GuestRam, RamRegion};
pub use serial_log::SerialLog;
pub use snapshot::Snapshot;
pub use timers::{ClockCode, KernelTimers, TimerCode};
pub use vm::Vm;
