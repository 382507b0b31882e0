//! The machine around a user space: what a person's shell and the kernel's selftests run in.

use anyhow::Result;
use ktstr::{Accel, Settings, Topology};
use ktstr_cache::Cache;
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_vmm::{Pace, VmConfig};
use ktstr_wire::{Machine, MappedRegion, Reserved};

/// RAM by default: this much, and some for each CPU.
const BASE_RAM_BYTES: u64 = 2 << 30;
const RAM_PER_CPU_BYTES: u64 = 16 << 20;

/// The reserved range grows in these steps: the size of a huge page.
const RESERVED_STEP_BYTES: u64 = 2 << 20;

/// What a machine is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) topology: Topology,
    /// By default what the CPUs need.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) accel: Accel,
}

/// The configuration of a machine whose clocks are the host's, and in words what runs it.
pub(crate) fn configure(
    shape: Shape,
    kernel: &Kernel,
    payload: &Image,
    cache: &Cache,
    settings: &Settings,
) -> Result<(VmConfig, String)> {
    if kernel.meta.config_hash.is_some() {
        kernel.require(ktstr::REQUIRED_OPTIONS)?;
    }
    let default_bytes = BASE_RAM_BYTES + u64::from(shape.topology.cpus()) * RAM_PER_CPU_BYTES;
    let machine = Machine::new(shape.topology, shape.memory_bytes.unwrap_or(default_bytes));
    ktstr::check_kernel(kernel, &machine)?;
    let (accel, why) = shape.accel.choose()?;
    let need_bytes = Reserved::<MappedRegion>::bytes_for(payload.len_bytes as usize) as u64;
    let config = VmConfig {
        kernel: kernel.vmlinux(),
        initramfs: ktstr::boot_image(cache)?.path,
        machine,
        reserved_bytes: need_bytes.next_multiple_of(RESERVED_STEP_BYTES),
        kargs: settings.kargs.clone(),
        seed: settings.seed,
        accel,
        timers: ktstr::kernel_timers(kernel),
        placement: None,
        pace: Pace::Host,
    };
    Ok((config, why))
}
