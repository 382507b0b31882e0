//! The distribution's kernel package for the lab.

use anyhow::{Context, Result};
use ktstr_kernels::{Kernels, Package, Progress};

/// What the names of the packages start with: the series whose KVM is known to work under emulated SVM. Debian keeps it
/// in a stable release, with small updates only.
pub(super) const PREFIX: &str = "linux-image-6.12.";
/// The full flavour; the cloud flavour has no 9p.
const FLAVOUR: &str = "-amd64";

/// The newest package of the lab's kernel series, of whatever suite the distribution has it in.
///
/// # Errors
/// When there is none, or the archive cannot be asked.
pub(super) fn newest(kernels: &Kernels) -> Result<Package> {
    let found = kernels.newest_package(PREFIX, is_full_flavour, &Told);
    found.context("cannot find a kernel package for the lab")
}

/// `6.12.107+deb13-amd64`, not `…-rt-amd64` nor `…-amd64-dbg`.
fn is_full_flavour(name: &str) -> bool {
    let release = name.strip_prefix(PREFIX).and_then(|release| release.strip_suffix(FLAVOUR));
    release.is_some_and(|release| !release.contains('-'))
}

/// Says on stderr what takes time: it happens once.
pub(super) struct Told;

impl Progress for Told {
    fn step(&self, what: &str) {
        eprintln!("kvm-lab: {what}");
    }

    fn bytes(&self, _done: u64, _total: Option<u64>) {}

    fn warn(&self, what: &str) {
        eprintln!("kvm-lab: {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_full_flavour_will_do() {
        let check = |release: &str, fits| assert_eq!(is_full_flavour(&format!("{PREFIX}{release}")), fits, "{release}");
        check("107+deb13-amd64", true);
        check("9+deb12-amd64", true);
        for other in ["108+deb13-cloud-amd64", "108+deb13-rt-amd64", "108+deb13-amd64-dbg", "8-amd64-unsigned"] {
            check(other, false);
        }
        assert!(!is_full_flavour("linux-image-6.13.1+deb13-amd64"));
    }
}
