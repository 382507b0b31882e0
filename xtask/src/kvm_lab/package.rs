//! The distribution's kernel package for the lab.

use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the names of kernel packages start with.
pub(super) const PREFIX: &str = "linux-image-";
/// The series whose KVM is known to work under emulated SVM.
const SERIES: &str = "6.12.";
/// The full flavour; the cloud flavour has no 9p.
const FLAVOUR: &str = "-amd64";

/// The newest package of the lab's kernel series.
///
/// # Errors
/// When apt knows none.
pub(super) fn newest() -> Result<String> {
    let output = Command::new("apt-cache")
        .arg("pkgnames")
        .arg(format!("{PREFIX}{SERIES}"))
        .output()
        .context("cannot run apt-cache; the lab's kernel comes from a Debian-like archive")?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    pick(names.lines()).map(str::to_owned).with_context(|| {
        format!("apt knows no package {PREFIX}{SERIES}*{FLAVOUR}: run `apt-get update`, and see that a suite with it (bookworm-security, trixie) is in apt's sources")
    })
}

/// The newest name of the right series and flavour.
fn pick<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let release = |name: &'a str| {
        let release = name.strip_prefix(PREFIX)?.strip_suffix(FLAVOUR)?;
        (release.starts_with(SERIES) && !release.contains('-')).then_some(release)
    };
    names.filter_map(|name| Some((numbers(release(name)?), name))).max().map(|(_, name)| name)
}

/// The numbers in a release, for comparison.
fn numbers(release: &str) -> Vec<u64> {
    release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

/// Downloads the package into a directory.
pub(super) fn fetch(package: &str, dir: &Path) -> Result<PathBuf> {
    let output = Command::new("apt-get")
        .args(["-o", "APT::Sandbox::User=root", "download", package])
        .current_dir(dir)
        .output()
        .context("cannot run apt-get")?;
    if !output.status.success() {
        bail!("apt-get download {package} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get download {package} left no package in {}", dir.display()))
}

/// The ELF kernel in a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length).
pub(super) fn extract(image: &[u8]) -> Result<Vec<u8>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = image.get(at..at + 4).context("the image is truncated")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    let setup_sectors = usize::from(*image.get(0x1f1).context("the image is truncated")?);
    let start = (setup_sectors + 1) * 512 + word(0x248)?;
    let payload = image.get(start..start + word(0x24c)?).context("the image is truncated")?;
    let mut kernel = Vec::new();
    let mut decoder = ruzstd::decoding::StreamingDecoder::new(payload).context("the kernel is not packed with zstd")?;
    decoder.read_to_end(&mut kernel)?;
    Ok(kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_the_newest_of_the_full_flavour() {
        let names = [
            "linux-image-6.12.9+deb12-amd64",
            "linux-image-6.12.107+deb13-amd64",
            "linux-image-6.12.108+deb13-cloud-amd64",
            "linux-image-6.12.108+deb13-rt-amd64",
            "linux-image-6.12.108+deb13-amd64-dbg",
            "linux-image-6.13.1+deb13-amd64",
            "linux-image-6.12-amd64",
        ];
        assert_eq!(pick(names.into_iter()), Some("linux-image-6.12.107+deb13-amd64"));
        assert_eq!(pick(["bash"].into_iter()), None);
    }
}
