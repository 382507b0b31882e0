//! Machines that have said hello, kept in the cache: each further one like it goes on from there.

use crate::host::budget::say;
use crate::host::reason::{is_of_host, reason};
use crate::record::BootPart;
use crate::verdict::Finding;
use ktstr_cache::{Cache, Error as CacheError};
use ktstr_initramfs::Image;
use ktstr_kernels::Kernel;
use ktstr_vmm::{RamRegion, Snapshot, Vm, VmConfig};
use ktstr_wire::reserved::ReservedError;
use ktstr_wire::{PROTOCOL_VERSION, Reserved};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const KIND: &str = "snapshots";

/// Room on the disk for all of them: some forty machines with the RAM that tests have by default. Those that were not used
/// for longest go first.
const MAX_BYTES: u64 = 4 << 30;

/// A guest's memory is for its user only.
const MODE: u32 = 0o700;

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

/// Why a machine was not kept, or not made of one that was.
#[derive(Debug, thiserror::Error)]
enum SnapshotError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Vm(#[from] ktstr_vmm::Error),
    #[error("its reserved range is not as it was laid out: {0}")]
    Reserved(#[from] ReservedError),
    #[error("its kernel is not healthy: {0}")]
    Unhealthy(String),
    #[error("cannot take the rights to {} from others: {source}", dir.display())]
    Mode { dir: PathBuf, source: io::Error },
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
    /// A machine that goes on from the snapshot, and its reserved range, if there is one. One that cannot be used is thrown
    /// away, and said so.
    pub(crate) fn fork(&self, config: &VmConfig) -> Option<(Vm, Reserved<RamRegion>)> {
        let dir = self.cache.get(KIND, &self.name).ok()??;
        match self.machine_of(&dir, config) {
            Ok(machine) => {
                was_used(&dir);
                Some(machine)
            }
            Err(error) => {
                // Another run may have made room.
                if dir.is_dir() {
                    self.give_up(&dir, &error);
                }
                None
            }
        }
    }

    fn machine_of(&self, dir: &Path, config: &VmConfig) -> Result<(Vm, Reserved<RamRegion>), SnapshotError> {
        let snapshot = Snapshot::open(dir, &self.identity).map_err(ktstr_vmm::Error::from)?;
        let vm = Vm::fork(config, &snapshot)?;
        let reserved = Reserved::open(vm.reserved()?)?;
        Ok((vm, reserved))
    }

    /// Throws the snapshot away, unless there is nothing wrong with it.
    fn give_up(&self, dir: &Path, error: &SnapshotError) {
        let why = reason(error);
        if is_of_host(error) {
            return say(&format!("the guest boots, for this host does not let it go on from a snapshot: {why}"));
        }
        match self.cache.remove(KIND, &self.name) {
            // Another run may have been faster.
            Err(error) if dir.is_dir() => say(&format!(
                "the guest boots, as each like it will until {} is removed, which this run cannot ({}): {why}",
                dir.display(),
                reason(&error)
            )),
            _ => say(&format!("the snapshot {} is thrown away, and the guest boots: {why}", self.name)),
        }
    }

    /// Keeps a machine that stands still, unless its kernel has complained, as that of each fork would have, or another run
    /// has kept one like it meanwhile. It can go on whatever comes of it.
    pub(crate) fn keep(&self, vm: &mut Vm, trouble: Option<&Finding>) -> BootPart {
        let mut is_own = false;
        let healthy = trouble.map_or(Ok(()), |finding| Err(SnapshotError::Unhealthy(finding.measured.clone())));
        let kept = healthy.and_then(|()| Ok(make_room(self.cache, MAX_BYTES)?)).and_then(|()| {
            self.cache.get_or_make(KIND, &self.name, |dir| {
                is_own = true;
                let mode = fs::set_permissions(dir, Permissions::from_mode(MODE));
                mode.map_err(|source| SnapshotError::Mode { dir: dir.to_owned(), source })?;
                Ok::<_, SnapshotError>(vm.save(dir, &self.identity)?)
            })
        });
        match kept {
            Ok(_) if is_own => BootPart::Kept,
            Ok(dir) => BootPart::NotKept(format!("{} is there already", dir.display())),
            Err(error) => {
                let why = reason(&error);
                say(&format!("this machine is not kept, so the next one like it boots, too: {why}"));
                BootPart::NotKept(why)
            }
        }
    }
}

/// Removes the snapshots that were not used for longest, until there is room for another.
fn make_room(cache: &Cache, max_bytes: u64) -> Result<(), CacheError> {
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
        if total <= max_bytes {
            break;
        }
        // Another run may have been faster.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BYTES: usize = 1 << 20;

    /// A cache with snapshots of these names, the first of which was used last, and the bytes that each has on the disk.
    fn cache(names: &[&str]) -> (tempfile::TempDir, Cache, u64) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let mut bytes = 0;
        for (age_s, name) in (1..).zip(names) {
            let make = |dir: &Path| {
                fs::write(dir.join("ram"), vec![1; BYTES]).unwrap();
                Ok::<_, CacheError>(())
            };
            let made = cache.get_or_make(KIND, name, make).unwrap();
            let used = SystemTime::now() - Duration::from_secs(age_s);
            File::open(&made).unwrap().set_modified(used).unwrap();
            bytes = usage(made).unwrap().1;
        }
        (dir, cache, bytes)
    }

    fn check(names: &[&str], fit: u64, expected: &[&str]) {
        let (_dir, cache, bytes) = cache(names);
        make_room(&cache, fit * bytes).unwrap();
        assert_eq!(cache.list(KIND).unwrap(), expected, "{fit} of {names:?}");
    }

    #[test]
    fn those_that_were_not_used_for_longest_go_first() {
        check(&["b", "a", "c"], 3, &["a", "b", "c"]);
        check(&["b", "a", "c"], 2, &["a", "b"]);
        check(&["b", "a", "c"], 1, &["b"]);
        check(&["b", "a", "c"], 0, &[]);
        check(&[], 0, &[]);
    }

    #[test]
    fn use_keeps() {
        let (_dir, cache, bytes) = cache(&["b", "a"]);
        was_used(&cache.entry_path(KIND, "a").unwrap());
        make_room(&cache, bytes).unwrap();
        assert_eq!(cache.list(KIND).unwrap(), ["a"]);
    }

    #[test]
    fn holes_take_no_room() {
        let (_dir, cache, bytes) = cache(&["b", "a"]);
        let ram = cache.entry_path(KIND, "b").unwrap().join("ram");
        File::options().write(true).open(ram).unwrap().set_len(1 << 30).unwrap();
        make_room(&cache, 2 * bytes).unwrap();
        assert_eq!(cache.list(KIND).unwrap(), ["a", "b"]);
    }
}
