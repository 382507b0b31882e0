//! What a snapshot must be of, for a machine to go on from it.

use crate::accel::Chosen;
use crate::config::VmConfig;
use crate::error::Error;
use crate::{kvm, qemu};

impl VmConfig {
    /// All that a machine is made of before its guest runs: lines of text for [`crate::Vm::save`] and
    /// [`crate::snapshot::Snapshot::open`]. Kernel and initramfs are in it by their paths: whoever changes what is there adds
    /// what it is.
    ///
    /// # Errors
    /// The backend cannot make such a machine here.
    pub fn identity(&self) -> Result<String, Error> {
        self.validate()?;
        let of_backend = match self.accel {
            Chosen::Kvm => kvm::identity(self)?,
            Chosen::Tcg => qemu::identity(self)?,
        };
        let of_config = serde_json::to_string(&self.machine).unwrap_or_default();
        let (kernel, initramfs) = (self.kernel.display(), self.initramfs.display());
        Ok(format!("ktstr {}\n{of_config}\n{kernel}\n{initramfs}\n{of_backend}", env!("CARGO_PKG_VERSION")))
    }
}
