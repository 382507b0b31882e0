//! What machine is wanted.

use crate::accel::Chosen;
use crate::error::Error;
use crate::layout::{INITRAMFS_MAX_BYTES, LayoutError, MIN_RAM_PER_CPU_BYTES, RamLayout};
use crate::placement::Plan;
use crate::timers::KernelTimers;
use crate::{kvm, qemu};
use ktstr_wire::Machine;
use std::path::PathBuf;

/// A machine, before it exists.
#[derive(Debug, Clone)]
pub struct VmConfig {
    /// Uncompressed ELF kernel with a PVH note.
    pub kernel: PathBuf,
    /// Initramfs archive, of which the kernel runs `/init`; at most [`INITRAMFS_MAX_BYTES`].
    pub initramfs: PathBuf,
    /// CPUs, NUMA nodes and RAM, the reserved range included.
    pub machine: Machine,
    /// Size of the reserved range.
    pub reserved_bytes: u64,
    /// The kernel's timers, if they are known. Emulation has a use for it, and KVM where vCPUs share host CPUs.
    pub timers: Option<KernelTimers>,
    /// Additions to the kernel command line.
    pub kargs: Vec<String>,
    /// Seed of everything random that the machine gives the guest.
    pub seed: u64,
    /// Backend.
    pub accel: Chosen,
    /// Performance mode: host CPUs for the vCPUs. They run anywhere without.
    pub placement: Option<Plan>,
    /// How guest time passes under software emulation.
    pub pace: Pace,
}

/// How guest time passes under software emulation; under KVM it is always the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// It counts instructions and jumps over idle time: a run is a function of its inputs and its seed.
    #[default]
    Instructions,
    /// It is the host's, for a person: a second of sleep takes a second. No two runs are the same.
    Host,
}

impl VmConfig {
    /// Where this machine's RAM lies.
    ///
    /// # Errors
    /// What there is too little of.
    pub fn ram_layout(&self) -> Result<RamLayout, Error> {
        let node_bytes: Vec<u64> = self.machine.nodes.iter().map(|node| node.memory_bytes).collect();
        Ok(RamLayout::new(&node_bytes, self.reserved_bytes)?)
    }

    /// Checks that the kernel has enough memory for all CPUs.
    fn check_memory(&self) -> Result<(), LayoutError> {
        let for_cpus = u64::from(self.machine.topology.cpus()) * MIN_RAM_PER_CPU_BYTES;
        let (ram_bytes, need_bytes) =
            (self.machine.memory_bytes(), RamLayout::min_ram_bytes(self.reserved_bytes) + for_cpus);
        if ram_bytes < need_bytes { Err(LayoutError::TooLittleRam { ram_bytes, need_bytes }) } else { Ok(()) }
    }

    /// Checks everything that can be checked before a machine is made, the limits of its backend on this host included.
    ///
    /// # Errors
    /// What is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        self.machine.validate()?;
        self.check_memory()?;
        self.ram_layout()?;
        match self.accel {
            Chosen::Kvm => kvm::check(self.machine.topology)?,
            Chosen::Tcg => qemu::limits::check(&self.machine)?,
        }
        for path in [&self.kernel, &self.initramfs] {
            let opened = std::fs::File::open(path).and_then(|file| file.metadata());
            let meta = opened.map_err(|source| Error::Read { path: path.clone(), source })?;
            if path == &self.initramfs && meta.len() > INITRAMFS_MAX_BYTES {
                return Err(Error::InitramfsTooLarge { path: path.clone(), bytes: meta.len() });
            }
        }
        Ok(())
    }
}
