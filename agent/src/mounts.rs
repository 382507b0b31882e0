//! The file systems of the guest.

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};
use std::fs;

struct Mount {
    kind: &'static str,
    at: &'static str,
    options: &'static str,
    required: bool,
}

const fn required(kind: &'static str, at: &'static str, options: &'static str) -> Mount {
    Mount { kind, at, options, required: true }
}

const fn optional(kind: &'static str, at: &'static str) -> Mount {
    Mount { kind, at, options: "", required: false }
}

const DEVICES: Mount = required("devtmpfs", "/dev", "mode=0755");

const MOUNTS: &[Mount] = &[
    required("proc", "/proc", ""),
    required("sysfs", "/sys", ""),
    required("devpts", "/dev/pts", "mode=0620,ptmxmode=0666"),
    required("tmpfs", "/dev/shm", "mode=1777"),
    required("tmpfs", "/run", "mode=0755"),
    required("tmpfs", "/tmp", "mode=1777"),
    required("cgroup2", "/sys/fs/cgroup", ""),
    optional("bpf", "/sys/fs/bpf"),
    optional("tracefs", "/sys/kernel/tracing"),
    optional("debugfs", "/sys/kernel/debug"),
];

/// Mounts the device files, without which nobody can be told of anything.
pub(crate) fn mount_devices() -> Result<()> {
    mount_one(&DEVICES)
}

/// Mounts everything else and hands the cgroup controllers down; what failed and can be done without is returned.
pub(crate) fn mount_rest() -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for entry in MOUNTS {
        let done = mount_one(entry);
        match done {
            Err(error) if entry.required => return Err(error),
            Err(error) => warnings.push(format!("{error:#}")),
            Ok(()) => {}
        }
    }
    enable_controllers()?;
    Ok(warnings)
}

fn mount_one(entry: &Mount) -> Result<()> {
    let Mount { kind, at, options, .. } = entry;
    // Fails where the file system above offers the directory itself, as sysfs does; mounting tells whether it is there.
    let _ = fs::create_dir_all(at);
    let options = std::ffi::CString::new(*options).context("a mount option has a NUL byte")?;
    mount(*kind, *at, *kind, MountFlags::empty(), options.as_c_str())
        .with_context(|| format!("cannot mount {kind} on {at}"))
}

/// Lets child cgroups use every controller that the kernel has.
fn enable_controllers() -> Result<()> {
    let root = "/sys/fs/cgroup";
    let available = fs::read_to_string(format!("{root}/cgroup.controllers"))
        .with_context(|| format!("cannot read {root}/cgroup.controllers"))?;
    for controller in available.split_ascii_whitespace() {
        fs::write(format!("{root}/cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("cannot enable the cgroup controller {controller}"))?;
    }
    Ok(())
}
