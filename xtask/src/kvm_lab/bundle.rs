//! The cached part of the lab: an uncompressed kernel and an initramfs with its modules and busybox.

use super::archive::Archive;
use super::modules::{Modules, WANTED};
use super::package::{self, Told};
use anyhow::{Context, Result, bail};
use ktstr_cache::Cache;
use ktstr_kernels::{Kernels, Package};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const KIND: &str = "lab";
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// To be changed with the form of a bundle, so that older ones in a cache are not taken for it.
const FORM: &str = "1";

/// A lab that can be started.
#[derive(Debug)]
pub(super) struct Bundle {
    dir: PathBuf,
}

impl Bundle {
    /// The newest lab in the cache, else a new one from the newest packaged kernel.
    ///
    /// # Errors
    /// When there is none and the package cannot be had or lacks a module, or busybox is missing.
    pub(super) fn find_or_make(cache: &Cache) -> Result<Self> {
        let recipe = recipe();
        let usable = |id: &String| id.ends_with(&recipe);
        if let Some(id) = cache.list(KIND)?.into_iter().rfind(usable)
            && let Some(dir) = cache.get(KIND, &id)?
        {
            return Ok(Self { dir });
        }
        let kernels = Kernels::new(cache.clone());
        let package = package::newest(&kernels)?;
        let id = format!("{}{recipe}", package.name.trim_start_matches("linux-image-"));
        let dir = cache.get_or_make(KIND, &id, |dir| make(dir, &kernels, &package))?;
        remove_others(cache, &id);
        Ok(Self { dir })
    }

    /// The uncompressed kernel.
    pub(super) fn kernel(&self) -> PathBuf {
        kernel_in(&self.dir)
    }

    /// The initramfs without its `init`: an archive that has it can be appended.
    pub(super) fn initramfs(&self) -> Result<Vec<u8>> {
        let path = initramfs_in(&self.dir);
        fs::read(&path).with_context(|| format!("cannot read the lab's initramfs {}", path.display()))
    }
}

fn kernel_in(dir: &Path) -> PathBuf {
    dir.join("vmlinux")
}

fn initramfs_in(dir: &Path) -> PathBuf {
    dir.join("initramfs.cpio")
}

/// Removes the labs that the new one replaces. One that cannot be removed does no harm.
fn remove_others(cache: &Cache, new: &str) {
    let others = cache.list(KIND).unwrap_or_default();
    for id in others.iter().filter(|id| *id != new) {
        let _ = cache.remove(KIND, id);
    }
}

/// A suffix of cache ids that changes with what this code puts into a bundle.
fn recipe() -> String {
    let mut hash = Sha256::new();
    for part in [FORM].into_iter().chain(WANTED) {
        hash.update(part);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.iter().take(4).fold(String::from("-"), |text, byte| format!("{text}{byte:02x}"))
}

fn make(dir: &Path, kernels: &Kernels, package: &Package) -> Result<()> {
    let busybox = busybox()?;
    let name = &package.name;
    let deb = kernels.download(package, dir, &Told)?;
    let (image, modules) = unpack(&deb)?;
    fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
    let kernel = ktstr_kernels::extract(image).with_context(|| format!("cannot extract the kernel of {name}"))?;
    let initramfs = initramfs(&busybox, &modules).with_context(|| format!("cannot make an initramfs from {name}"))?;
    for (path, content) in [(kernel_in(dir), kernel), (initramfs_in(dir), initramfs)] {
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The compressed kernel and the modules of a package.
fn unpack(deb: &Path) -> Result<(Vec<u8>, Modules)> {
    let mut image = Vec::new();
    let mut modules = Modules::default();
    ktstr_kernels::deb::files(deb, |path, _, content| {
        let path = path.to_string_lossy();
        if path.contains("boot/vmlinuz-") || path.ends_with("/vmlinuz") {
            image.clear();
            content.read_to_end(&mut image)?;
        } else {
            modules.offer(&path, content)?;
        }
        Ok(true)
    })?;
    if image.is_empty() {
        bail!("{} holds no vmlinuz", deb.display());
    }
    Ok((image, modules))
}

fn initramfs(busybox: &[u8], modules: &Modules) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in ["dev", "proc", "host", "layer", "root", "modules"] {
        archive.directory(dir)?;
    }
    archive.device("dev/console", 5, 1)?;
    archive.program("busybox", busybox)?;
    let mut order = String::new();
    for module in modules.closure(&WANTED)? {
        order.push_str(&module.name);
        order.push('\n');
        archive.file(&format!("modules/{}", module.name), &module.object)?;
    }
    archive.file("modules/order", order.as_bytes())?;
    archive.finish()
}

/// A busybox that runs where there is no library.
fn busybox() -> Result<Vec<u8>> {
    for path in BUSYBOX {
        let Ok(bytes) = fs::read(path) else { continue };
        let elf = goblin::elf::Elf::parse(&bytes).with_context(|| format!("cannot read {path} as a program"))?;
        if elf.interpreter.is_none() {
            return Ok(bytes);
        }
    }
    bail!("the lab needs a static busybox, and neither {} is one: run `cargo xtask setup`", BUSYBOX.join(" nor "))
}
