//! The file systems of the guest.

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::path::{Component, Path, PathBuf};

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

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
    required("cgroup2", CGROUP_ROOT, ""),
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
    hand_down(Path::new(CGROUP_ROOT))
}

/// Makes a cgroup, by its path below the root of the hierarchy, and those above it, and lets its children use every
/// controller.
///
/// # Errors
/// When the path leads elsewhere, or the kernel refuses.
pub(crate) fn make_cgroup(path: &str) -> Result<()> {
    let mut dir = PathBuf::from(CGROUP_ROOT);
    for part in Path::new(path).components() {
        let Component::Normal(name) = part else { bail!("{path:?} is no path below {CGROUP_ROOT}") };
        dir.push(name);
        if !dir.exists() {
            fs::create_dir(&dir).with_context(|| format!("cannot make the cgroup {}", dir.display()))?;
        }
        hand_down(&dir)?;
    }
    Ok(())
}

fn hand_down(cgroup: &Path) -> Result<()> {
    let controllers = cgroup.join("cgroup.controllers");
    let available =
        fs::read_to_string(&controllers).with_context(|| format!("cannot read {}", controllers.display()))?;
    for controller in available.split_ascii_whitespace() {
        fs::write(cgroup.join("cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("cannot enable the cgroup controller {controller} in {}", cgroup.display()))?;
    }
    Ok(())
}
