//! Machines that have said hello, kept in the cache: each further one like it goes on from there.

use crate::host::budget::say;
use crate::host::reason::reason;
use ktstr_cache::{Cache, Error as CacheError};
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_vmm::{Snapshot, Vm, VmConfig};
use ktstr_wire::PROTOCOL_VERSION;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const KIND: &str = "snapshots";

/// Room on the disk for all of them: some forty machines with the RAM that tests have by default. Those that were not used
/// for longest go first.
const MAX_BYTES: u64 = 4 << 30;

/// A file's blocks are counted in these (stat(2)).
const BLOCK_BYTES: u64 = 512;

/// Where snapshots are, and what those that are looked for have in common.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    cache: Cache,
    images: String,
}

/// The snapshot of one machine, which need not be there yet.
pub(crate) struct Place<'a> {
    cache: &'a Cache,
    identity: String,
    name: String,
}

/// Why a machine was not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Vm(#[from] ktstr_vmm::Error),
}

impl Snapshots {
    /// Of machines with this kernel and this agent.
    pub(crate) fn new(cache: &Cache, kernel: &Kernel, boot: &Image) -> Self {
        let images = format!("kernel {}\nboot image {}\nprotocol {PROTOCOL_VERSION}", kernel.id, boot.id);
        Self { cache: cache.clone(), images }
    }

    /// Of a machine that is configured like this.
    ///
    /// # Errors
    /// There can be no such machine.
    pub(crate) fn of(&self, config: &VmConfig) -> Result<Place<'_>, ktstr_vmm::Error> {
        let identity = format!("{}\n{}", self.images, config.identity()?);
        let name = Snapshot::name(&identity);
        Ok(Place { cache: &self.cache, identity, name })
    }
}

impl Place<'_> {
    /// A machine that goes on from the snapshot, if there is one. One that cannot be used is thrown away, and said so.
    pub(crate) fn fork(&self, config: &VmConfig) -> Option<Vm> {
        let dir = self.cache.get(KIND, &self.name).ok()??;
        let forked = Snapshot::open(&dir, &self.identity).map_err(ktstr_vmm::Error::from);
        match forked.and_then(|snapshot| Vm::fork(config, &snapshot)) {
            Ok(vm) => {
                was_used(&dir);
                Some(vm)
            }
            Err(error) => {
                say(&format!("a snapshot is thrown away, and the guest boots: {}", reason(&error)));
                // Another run may have been faster.
                let _ = self.cache.remove(KIND, &self.name);
                None
            }
        }
    }

    /// Keeps a machine that stands still, unless another run has kept one like it meanwhile.
    ///
    /// # Errors
    /// Why not, for people. The machine can go on all the same.
    pub(crate) fn keep(&self, vm: &mut Vm) -> Result<(), String> {
        make_room(self.cache).map_err(|error| error.to_string())?;
        let made = self.cache.get_or_make(KIND, &self.name, |dir| Ok::<_, KeepError>(vm.save(dir, &self.identity)?));
        made.map(drop).map_err(|error| reason(&error))
    }
}

/// Removes the snapshots that were not used for longest, until there is room for another.
fn make_room(cache: &Cache) -> Result<(), CacheError> {
    let mut kept: Vec<(SystemTime, u64, String)> = Vec::new();
    for name in cache.list(KIND)? {
        // One that is gone takes no room.
        if let Ok((used, bytes)) = cache.entry_path(KIND, &name).map_err(io::Error::other).and_then(usage) {
            kept.push((used, bytes, name));
        }
    }
    kept.sort();
    let mut total: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
    for (_, bytes, name) in kept {
        if total <= MAX_BYTES {
            break;
        }
        let _ = cache.remove(KIND, &name);
        total -= bytes;
    }
    Ok(())
}

/// When a snapshot was last used, and its bytes on the disk.
fn usage(dir: PathBuf) -> io::Result<(SystemTime, u64)> {
    let used = dir.metadata()?.modified()?;
    let bytes = dir.read_dir()?.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * BLOCK_BYTES)).sum();
    Ok((used, bytes))
}

/// Only the order in which snapshots go depends on it.
fn was_used(dir: &Path) {
    let _ = File::open(dir).and_then(|dir| dir.set_modified(SystemTime::now()));
}
