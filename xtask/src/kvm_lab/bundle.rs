//! The cached part of the lab: an uncompressed kernel and an initramfs with its modules and busybox.

use super::archive::Archive;
use super::modules::{Modules, WANTED};
use super::package;
use anyhow::{Context, Result, bail};
use ktstr_cache::Cache;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
        let name = package::newest()?;
        let id = format!("{}{recipe}", name.trim_start_matches(package::PREFIX));
        let dir = cache.get_or_make(KIND, &id, |dir| make(dir, &name))?;
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

fn make(dir: &Path, package: &str) -> Result<()> {
    let busybox = busybox()?;
    eprintln!("kvm-lab: fetching {package} (once)");
    let deb = package::fetch(package, dir)?;
    let (image, modules) = unpack(&deb)?;
    fs::remove_file(&deb).with_context(|| format!("cannot remove {}", deb.display()))?;
    let kernel = package::extract(&image).with_context(|| format!("cannot extract the kernel of {package}"))?;
    let initramfs =
        initramfs(&busybox, &modules).with_context(|| format!("cannot make an initramfs from {package}"))?;
    for (path, content) in [(kernel_in(dir), kernel), (initramfs_in(dir), initramfs)] {
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The compressed kernel and the modules of a package.
fn unpack(deb: &Path) -> Result<(Vec<u8>, Modules)> {
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(deb)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run dpkg-deb; the lab needs a Debian-like system")?;
    let stream = child.stdout.take().context("dpkg-deb has no output")?;
    let mut image = None;
    let mut modules = Modules::default();
    for entry in tar::Archive::new(stream).entries()? {
        let mut entry = entry.with_context(|| format!("cannot read {}", deb.display()))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if path.contains("boot/vmlinuz-") || path.ends_with("/vmlinuz") {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).with_context(|| format!("cannot read {path} from {}", deb.display()))?;
            image = Some(bytes);
        } else {
            modules.offer(&path, &mut entry)?;
        }
    }
    let status = child.wait().context("cannot wait for dpkg-deb")?;
    match image {
        Some(image) if status.success() => Ok((image, modules)),
        Some(_) => bail!("dpkg-deb --fsys-tarfile {} failed: {status}", deb.display()),
        None => bail!("{} holds no vmlinuz", deb.display()),
    }
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
