//! Which source package fits a kernel.

use crate::answers::FRESH_FOR;
use crate::apt::{self, Apt, Package};
use crate::compile::tree::{Located, Place};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::kernels::Kernels;
use crate::progress::Progress;
use crate::version::Version;

/// Names of source packages start so, and go on with a version.
const PREFIX: &str = "linux-source-";

/// A source package.
pub(super) struct Source(Package);

impl Source {
    /// Name and version.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.0.name, self.0.version)
    }

    /// Of the kernel in it.
    pub(super) fn version(&self) -> Option<Version> {
        self.0.kernel_version()
    }

    pub(super) fn hash(&self) -> &str {
        &self.0.sha256
    }

    /// As what is unpacked.
    pub(super) fn located(&self) -> Located {
        let (name, hash) = (self.0.version.clone(), self.0.sha256.clone());
        Located { name, hash, place: Place::Package(self.0.clone()) }
    }
}

/// The package that fits the kernel best.
pub(super) fn find(kernels: &Kernels, kernel: &Kernel, progress: &dyn Progress) -> Result<Source, Error> {
    let release = &kernel.meta.release;
    let not_found = |near| {
        let looked = "source of this version, or of an older one, in the distribution's suites".to_owned();
        Error::NotFound { spec: format!("sched_ext programs of {release}"), looked, near }
    };
    let version = kernel.meta.kernel_version().ok_or_else(|| not_found(Vec::new()))?;
    let apt = Apt::open(&kernels.cache)?;
    apt.refresh(FRESH_FOR, progress)?;
    let mut names = apt.names(PREFIX)?;
    names.retain(|name| name[PREFIX.len()..].starts_with(|c: char| c.is_ascii_digit()));
    let packages = apt.show(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let package = best(version, packages).ok_or_else(|| not_found(names))?;
    let own = package.kernel_version();
    if own != Some(version) {
        let own = own.map_or(package.version.clone(), |own| own.to_string());
        progress.warn(&format!("the archive has no source of Linux {version}: building that of {own} for it"));
    }
    Ok(Source(package))
}

/// The same version; else another patch level of it, the nearest; else the newest older one: what was written for an
/// older kernel may run on a newer one, not the other way round.
fn best(kernel: Version, mut packages: Vec<Package>) -> Option<Package> {
    packages.sort_by(apt::by_version);
    packages.retain(|package| package.kernel_version().is_some_and(|version| series(version) <= series(kernel)));
    let newest = series(packages.last()?.kernel_version()?);
    // Of equals the last, which is the newest package.
    let far = |package: &Package| package.kernel_version().map(|version| version.distance(&kernel));
    let same = packages.into_iter().rev().filter(|package| package.kernel_version().map(series) == Some(newest));
    match newest == series(kernel) {
        true => same.min_by_key(|package| far(package)),
        false => same.into_iter().next(),
    }
}

fn series(version: Version) -> (u32, u32) {
    (version.major, version.minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kernel: &str, packages: &[&str], expected: Option<&str>) {
        let records = packages.iter().map(|version| format!("Package: {PREFIX}x\nVersion: {version}\n"));
        let packages = apt::packages::parse(&records.collect::<Vec<_>>().join("\n"));
        let found = best(kernel.parse().unwrap(), packages).map(|package| package.version);
        assert_eq!(found.as_deref(), expected, "{kernel}");
    }

    #[test]
    fn the_same_version_is_best_and_the_newest_package_of_it() {
        check("7.2.9", &["7.2.9-1~bpo13+1", "7.2.13-1", "7.2.9-1", "7.3.4-1"], Some("7.2.9-1"));
        check("7.2.12", &["7.2.9-1", "7.2.13-1", "7.2.6-1"], Some("7.2.13-1"));
    }

    #[test]
    fn else_the_newest_older_one() {
        check("6.16.12", &["6.1.176-1", "6.12.95-1", "6.12.117-1", "7.2.13-1"], Some("6.12.117-1"));
        check("5.10.1", &["6.1.176-1", "7.2.13-1"], None);
        check("5.10.1", &[], None);
    }
}
