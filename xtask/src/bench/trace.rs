//! When a KVM guest began to run, and when it got to its first process, by the host kernel's own trace.
//!
//! Source: kernel Documentation/trace/events.rst and ftrace.rst; the events are in arch/x86/kvm/trace.h.

use super::guest::MARK;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const TRACEFS: &str = "/sys/kernel/tracing";

/// A trace of the guests that threads with certain names run. Times are in seconds of `CLOCK_MONOTONIC`.
pub(super) struct Trace {
    entry: Instance,
    mark: Instance,
}

impl Trace {
    /// Sets the trace up. Needs root, and a kernel that traces KVM.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub(super) fn new() -> Result<Self> {
        if !Path::new(TRACEFS).join("instances").is_dir() {
            super::process::measure(Command::new("mount").args(["-t", "tracefs", "tracefs", TRACEFS]))?;
        }
        Ok(Self { entry: Instance::new("ktstr-entry", "kvm_entry")?, mark: Instance::new("ktstr-mark", "kvm_pio")? })
    }

    /// Forgets what was seen, and watches the threads whose name matches `threads` (`*` for any characters).
    ///
    /// # Errors
    /// When the kernel does not take the filter.
    pub(super) fn watch(&self, threads: &str) -> Result<()> {
        // The first of many: a full buffer drops what comes later, and costs little.
        self.entry.watch(&format!("vcpu_id == 0 && comm ~ \"{threads}\""))?;
        let (port, byte) = MARK;
        self.mark.watch(&format!("port == {port} && val == {byte} && comm ~ \"{threads}\""))
    }

    /// Watches nothing.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(super) fn rest(&self) -> Result<()> {
        self.entry.rest()?;
        self.mark.rest()
    }

    /// When the boot CPU was first entered.
    ///
    /// # Errors
    /// When it was not.
    pub(super) fn first_run_s(&self) -> Result<f64> {
        self.entry.first_s()
    }

    /// When the guest's first process said that it runs.
    ///
    /// # Errors
    /// When it did not.
    pub(super) fn mark_s(&self) -> Result<f64> {
        self.mark.first_s()
    }
}

/// A trace buffer of its own for one event.
struct Instance {
    dir: PathBuf,
    event: &'static str,
}

impl Instance {
    fn new(name: &str, event: &'static str) -> Result<Self> {
        let dir = Path::new(TRACEFS).join("instances").join(name);
        if !dir.is_dir() {
            std::fs::create_dir(&dir).with_context(|| format!("cannot make the trace {}", dir.display()))?;
        }
        let instance = Self { dir, event };
        instance.set("trace_clock", "mono")?;
        instance.set("options/overwrite", "0")?;
        instance.set("buffer_size_kb", "4")?;
        Ok(instance)
    }

    fn watch(&self, filter: &str) -> Result<()> {
        self.rest()?;
        self.set("trace", "")?;
        self.set(&self.event_file("filter"), filter)?;
        self.set(&self.event_file("enable"), "1")
    }

    fn rest(&self) -> Result<()> {
        self.set(&self.event_file("enable"), "0")
    }

    fn event_file(&self, name: &str) -> String {
        format!("events/kvm/{}/{name}", self.event)
    }

    fn first_s(&self) -> Result<f64> {
        let path = self.dir.join("trace");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let times = text.lines().filter_map(|line| time_s(line, self.event));
        let first = times.fold(f64::INFINITY, f64::min);
        ensure!(first.is_finite(), "the kernel's trace has no {}", self.event);
        Ok(first)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.dir.join(file);
        std::fs::write(&path, value).with_context(|| format!("cannot write {value:?} to {}", path.display()))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // A trace that stays costs nothing but its buffer; the kernel removes it when the machine goes.
        let _ = self.rest();
        let _ = std::fs::remove_dir(&self.dir);
    }
}

/// The time of an event's line: ` comm-tid [cpu] flags time: event: fields`.
fn time_s(line: &str, event: &str) -> Option<f64> {
    let (before, _) = line.split_once(&format!(": {event}:"))?;
    before.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_time_of_an_event() {
        let line = " qemu-system-x86-181     [000] d..1.    14.688167: kvm_entry: vcpu 0, rip 0xfff0";
        assert_eq!(time_s(line, "kvm_entry"), Some(14.688167));
        assert_eq!(time_s(line, "kvm_pio"), None);
        assert_eq!(time_s("# tracer: nop", "kvm_entry"), None);
    }
}
