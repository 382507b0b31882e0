//! What can go wrong between a configuration and a running machine.

use crate::{kvm, qemu};
use std::io;
use std::path::PathBuf;

/// Why there is no machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Such a machine cannot be had.
    #[error(transparent)]
    Machine(#[from] ktstr_wire::machine::MachineError),
    /// Its memory cannot be laid out.
    #[error(transparent)]
    Layout(#[from] crate::layout::LayoutError),
    /// The host could not give memory.
    #[error("cannot get {} MiB of host memory for the guest: {source}", bytes >> 20)]
    HostMemory {
        /// Size asked for.
        bytes: u64,
        /// What came back.
        source: io::Error,
    },
    /// A file of the guest could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The initramfs does not fit its place.
    #[error("the initramfs {} has {bytes} bytes, more than fit into a machine ({})", path.display(), crate::layout::INITRAMFS_MAX_BYTES)]
    InitramfsTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The captured output of a serial port could not be read.
    #[error("cannot read what the guest wrote to {port}")]
    SerialLog {
        /// `COM1` or `COM2`.
        port: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// No backend works here.
    #[error("no accelerator works here: kvm: {kvm}; tcg: {tcg}")]
    NoAccelerator {
        /// Why not KVM.
        kvm: Box<kvm::Error>,
        /// Why not QEMU.
        #[source]
        tcg: Box<qemu::Error>,
    },
    /// The KVM backend.
    #[error(transparent)]
    Kvm(#[from] kvm::Error),
    /// There is no stop point.
    #[error(transparent)]
    Stop(#[from] crate::stops::Error),
    /// There is no snapshot, or no machine of one.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::Error),
    /// The QEMU backend.
    #[error(transparent)]
    Qemu(#[from] qemu::Error),
}
