//! CPUs that go offline and come back (Documentation/core-api/cpu_hotplug.rst).

use anyhow::{Context, Result};
use ktstr_wire::CpuSet;
use std::path::PathBuf;

/// CPUs that are offline. They come back when this value is dropped.
#[derive(Debug, Default)]
pub(super) struct Hotplug {
    offline: Vec<u32>,
}

/// Those of `cpus` that the kernel can take offline.
pub(super) fn removable(cpus: &CpuSet) -> CpuSet {
    cpus.iter().filter(|cpu| switch(*cpu).exists()).collect()
}

/// Those that are online.
pub(super) fn online() -> Result<CpuSet> {
    let path = "/sys/devices/system/cpu/online";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    text.parse().with_context(|| format!("{path} is {text:?}"))
}

impl Hotplug {
    /// Takes a CPU offline.
    pub(super) fn take_offline(&mut self, cpu: u32) -> Result<()> {
        // Before it is tried: a CPU that is online already may be brought online.
        self.offline.push(cpu);
        set(cpu, "0")
    }

    /// Brings it back.
    pub(super) fn bring_online(&mut self, cpu: u32) -> Result<()> {
        set(cpu, "1")?;
        self.offline.retain(|other| *other != cpu);
        Ok(())
    }

    /// Brings all back; tells of the first that does not come.
    pub(super) fn restore(&mut self) -> Result<()> {
        self.offline.clone().into_iter().try_for_each(|cpu| self.bring_online(cpu))
    }
}

impl Drop for Hotplug {
    fn drop(&mut self) {
        for cpu in &self.offline {
            if let Err(error) = set(*cpu, "1") {
                eprintln!("{error:#}");
            }
        }
    }
}

fn switch(cpu: u32) -> PathBuf {
    format!("/sys/devices/system/cpu/cpu{cpu}/online").into()
}

fn set(cpu: u32, value: &str) -> Result<()> {
    let path = switch(cpu);
    std::fs::write(&path, value).with_context(|| format!("cannot write {value} to {}", path.display()))
}
