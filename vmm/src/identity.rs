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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Pace;
    use ktstr_wire::{Machine, Topology};

    #[test]
    fn no_two_machines_have_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let [kernel, initramfs, other] = ["vmlinux", "initramfs", "other"].map(|name| dir.path().join(name));
        [&kernel, &initramfs, &other].iter().for_each(|path| std::fs::write(path, "").unwrap());
        let config = VmConfig {
            kernel,
            initramfs,
            machine: Machine::new(Topology::new(1, 2, 1), 512 << 20),
            reserved_bytes: 64 << 20,
            timers: None,
            kargs: Vec::new(),
            seed: 7,
            accel: Chosen::Tcg,
            placement: None,
            pace: Pace::default(),
        };
        let with = |change: &dyn Fn(&mut VmConfig)| {
            let mut other = config.clone();
            change(&mut other);
            other.identity().unwrap()
        };
        let same = with(&|_| ());
        let mut others = vec![
            with(&|config| config.kernel = other.clone()),
            with(&|config| config.initramfs = other.clone()),
            with(&|config| config.machine = Machine::new(Topology::new(1, 4, 1), 512 << 20)),
            with(&|config| config.machine = Machine::new(Topology::new(2, 1, 1), 512 << 20)),
            with(&|config| config.machine = Machine::new(Topology::new(1, 2, 1), 1 << 30)),
            with(&|config| config.reserved_bytes = 128 << 20),
            with(&|config| config.kargs = vec!["nosmt".to_owned()]),
            with(&|config| config.seed = 8),
            with(&|config| config.pace = Pace::Host),
        ];
        assert_eq!(config.identity().unwrap(), same);
        others.push(same);
        let count = others.len();
        others.sort();
        others.dedup();
        assert_eq!(others.len(), count);
    }
}
