//! Installing Debian packages.

use super::needs::Need;
use anyhow::{Context, Result, bail};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use xshell::{Shell, cmd};

/// Another apt or dpkg may be at work, as on a machine that has just started: its lock is waited for this long.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=300";

/// Installs what is missing.
pub(super) fn install(missing: &[&Need]) -> Result<()> {
    let mut packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let names: Vec<String> = missing.iter().map(|need| need.probe.to_string()).collect();
    let names = names.join(", ");
    if !Path::new("/var/lib/dpkg/status").is_file() {
        bail!("this machine has no {names}: install what is the Debian packages {} elsewhere", packages.join(" "));
    }
    let command = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !is_root() {
        bail!("this machine has no {names}: run as root\n    {command}");
    }
    let packages = packages.join(" ");
    eprintln!("setup: installing {packages} for {names}");
    apt_get(&packages).with_context(|| format!("cannot install {packages}"))
}

fn apt_get(packages: &str) -> Result<()> {
    let packages = packages.split(' ');
    let shell = Shell::new()?;
    shell.set_var("DEBIAN_FRONTEND", "noninteractive");
    // Standard output is the calling verb's own.
    let update = cmd!(shell, "apt-get -qq -o {LOCK_WAIT} update").quiet().ignore_stdout().run();
    let options = ["-qq", "-o", LOCK_WAIT, "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"];
    let install = cmd!(shell, "apt-get install -y {options...} {packages...}").quiet().ignore_stdout().run();
    match (update, install) {
        // One unreachable source among several fails the update, though the packages may be had all the same.
        (_, Ok(())) => Ok(()),
        (Err(update), Err(_)) => Err(update).context("the package index could not be read"),
        (Ok(()), Err(install)) => Err(install.into()),
    }
}

/// The owner of `/proc/self` is the effective user (proc(5)).
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}
