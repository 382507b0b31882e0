//! Putting a kernel, its initramfs and what it wants to know into guest memory.
//!
//! Source: Documentation/arch/x86/boot.rst, "64-bit Boot Protocol".

mod copy;
pub(crate) mod image;
mod params;

use super::registers;
use crate::config::VmConfig;
use crate::layout::{BOOT_GDT_GPA, BOOT_PAGE_TABLES_GPA, BOOT_PARAMS_GPA, CMDLINE_GPA, CMDLINE_MAX_BYTES, RamLayout};
use crate::memory::GuestRam;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Why a guest could not be put into memory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The kernel is not what it must be.
    #[error("{} cannot be booted: {why}; an uncompressed ELF vmlinux for x86-64 is needed", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The kernel command line is too long.
    #[error("the kernel command line has {bytes} bytes and the kernel takes {}: shorten the additions to it", CMDLINE_MAX_BYTES - 1)]
    CommandLineTooLong {
        /// Its length.
        bytes: usize,
    },
    /// Something has no place in guest memory.
    #[error("{what} of {bytes} bytes does not fit into guest memory at {gpa:#x}")]
    NoRoom {
        /// What it is.
        what: &'static str,
        /// Where it should go.
        gpa: u64,
        /// Its size.
        bytes: u64,
    },
}

/// Loads everything and returns where the boot vCPU starts.
///
/// # Errors
/// What could not be loaded.
pub(crate) fn load(config: &VmConfig, ram: &GuestRam, cmdline: &str, rsdp_gpa: u64) -> Result<u64, Error> {
    let memory = ram.mapped();
    let cmdline_bytes = cmdline.len();
    if cmdline_bytes as u64 >= CMDLINE_MAX_BYTES {
        return Err(Error::CommandLineTooLong { bytes: cmdline_bytes });
    }
    let entry_gpa = image::load(&config.kernel, memory, ram.layout())?;
    let initramfs = load_initramfs(&config.initramfs, memory, ram.layout())?;
    let mut terminated = cmdline.as_bytes().to_vec();
    terminated.push(0);
    put(memory, "the kernel command line", CMDLINE_GPA, &terminated)?;
    let params = params::build(ram.layout(), cmdline_bytes as u32, initramfs, rsdp_gpa);
    put(memory, "the boot parameters", BOOT_PARAMS_GPA, &params)?;
    put(memory, "the segment descriptors", BOOT_GDT_GPA, &registers::gdt_bytes())?;
    put(memory, "the page tables", BOOT_PAGE_TABLES_GPA, &registers::identity_map(BOOT_PAGE_TABLES_GPA))?;
    Ok(entry_gpa)
}

/// Copies bytes to their place in guest memory.
///
/// # Errors
/// [`Error::NoRoom`] when that is not all RAM.
pub(super) fn put(memory: &GuestMemoryMmap, what: &'static str, gpa: u64, bytes: &[u8]) -> Result<(), Error> {
    memory.write_slice(bytes, GuestAddress(gpa)).map_err(|_| Error::NoRoom { what, gpa, bytes: bytes.len() as u64 })
}

/// Where the initramfs is: first byte and size.
fn load_initramfs(path: &Path, memory: &GuestMemoryMmap, layout: &RamLayout) -> Result<(u64, u64), Error> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let bytes = file.metadata().map_err(read)?.len();
    let no_room = |gpa| Error::NoRoom { what: "the initramfs", gpa, bytes };
    let gpa = layout.initramfs_gpa(bytes).ok_or(no_room(layout.low.bytes))?;
    copy::copy(&file, 0, bytes, memory, gpa).map_err(read)?;
    Ok((gpa, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Chosen;
    use crate::config::Pace;
    use crate::memory::Backing;
    use ktstr_wire::{Machine, Topology};

    fn check(cmdline: &str, initramfs_bytes: u64, expected: &str) {
        let initramfs = tempfile::NamedTempFile::new().unwrap();
        initramfs.as_file().set_len(initramfs_bytes).unwrap();
        let config = VmConfig {
            kernel: "/nowhere/vmlinux".into(),
            initramfs: initramfs.path().to_owned(),
            machine: Machine::new(Topology::new(1, 1, 1), 512 << 20),
            reserved_bytes: 16 << 20,
            timers: None,
            kargs: Vec::new(),
            seed: 0,
            accel: Chosen::Kvm,
            placement: None,
            pace: Pace::default(),
        };
        let ram = GuestRam::new(config.ram_layout().unwrap(), &config.machine.nodes, Backing::Private).unwrap();
        let loaded = load_initramfs(&config.initramfs, ram.mapped(), ram.layout()).map(|_| ());
        let error = loaded.and_then(|()| load(&config, &ram, cmdline, 0).map(|_| ())).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn says_what_does_not_fit() {
        check(&"x".repeat(2048), 1, "has 2048 bytes and the kernel takes 2047");
        check(&"x".repeat(2047), 1, "cannot read /nowhere/vmlinux");
        check("", crate::layout::INITRAMFS_MAX_BYTES + 1, "the initramfs of 29360129 bytes does not fit");
    }
}
