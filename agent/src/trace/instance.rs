//! An instance of tracefs: rings and switches of its own (Documentation/trace/ftrace.rst, "Instances").

use super::tail::{Tail, Text};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

const DIR: &str = "/sys/kernel/tracing/instances/ktstr";

/// The clock whose times the agent tells everywhere else.
const CLOCK: &str = "mono";

/// The smallest ring of a CPU, in KiB.
const LEAST_RING_KB: u64 = 16;

/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;

/// There as long as nobody has removed it.
pub(super) struct Instance {
    dir: PathBuf,
}

impl Instance {
    /// Makes it; it records, and nothing is enabled.
    pub(super) fn make(ring_bytes: u64) -> Result<Self> {
        fs::create_dir(DIR).with_context(|| format!("cannot make {DIR}"))?;
        let instance = Self { dir: DIR.into() };
        let set_up = instance.set_up(ring_bytes);
        if set_up.is_err() {
            // What went wrong first is what counts.
            let _ = instance.remove();
        }
        set_up.map(|()| instance)
    }

    fn set_up(&self, ring_bytes: u64) -> Result<()> {
        self.write("trace_clock", CLOCK)?;
        let cpus = self.cpus()?.len().max(1) as u64;
        self.write("buffer_size_kb", &(ring_bytes / cpus / 1024).max(LEAST_RING_KB).to_string())
    }

    /// The directories of the CPUs' own files.
    fn cpus(&self) -> Result<Vec<PathBuf>> {
        let dir = self.dir.join("per_cpu");
        let what = || format!("cannot list {}", dir.display());
        let entries: Result<Vec<_>, _> = fs::read_dir(&dir).with_context(what)?.collect();
        Ok(entries.with_context(what)?.into_iter().map(|entry| entry.path()).collect())
    }

    /// Records an event, or all of a system.
    pub(super) fn enable(&self, event: &str) -> Result<()> {
        self.write(&format!("events/{event}/enable"), "1")
    }

    /// Ends the recording when the event occurs in this way, which is still recorded.
    pub(super) fn stop_at(&self, event: &str, when: &str) -> Result<()> {
        self.write(&format!("events/{event}/trigger"), &format!("traceoff if {when}"))
    }

    /// Ends the recording; tells whether it had ended before.
    pub(super) fn stop(&self) -> Result<bool> {
        let path = self.dir.join("tracing_on");
        let was_on = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        self.write("tracing_on", "0")?;
        Ok(was_on.trim() == "0")
    }

    /// What has been recorded, the newest part of it.
    pub(super) fn text(&self, most_bytes: usize) -> Result<Text> {
        let path = self.dir.join("trace");
        let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut tail = Tail::new(most_bytes);
        let mut piece = vec![0; READ_BYTES];
        loop {
            match file.read(&mut piece).with_context(|| format!("cannot read {}", path.display()))? {
                0 => return Ok(tail.end()),
                length => tail.push(&piece[..length]),
            }
        }
    }

    /// Records that are in no ring any more, as far as the kernel tells (kernel/trace/trace.c, `tracing_stats_read`).
    pub(super) fn lost_records(&self) -> u64 {
        let cpus = self.cpus().unwrap_or_default();
        cpus.iter().filter_map(|cpu| fs::read_to_string(cpu.join("stats")).ok()).map(|stats| lost(&stats)).sum()
    }

    /// Removes it with all that was recorded.
    pub(super) fn remove(&self) -> Result<()> {
        fs::remove_dir(&self.dir).with_context(|| format!("cannot remove {}", self.dir.display()))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.dir.join(name), text)
    }
}

/// Sums up what a CPU's `stats` says.
fn lost(stats: &str) -> u64 {
    let lines = stats.lines().filter_map(|line| line.split_once(": "));
    let counted = lines.filter(|(name, _)| ["overrun", "commit overrun", "dropped events"].contains(name));
    counted.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {text:?} to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_records_are_counted() {
        let stats =
            "entries: 2398\noverrun: 5\ncommit overrun: 1\nbytes: 15\noldest event ts:     3.5\ndropped events: 2\n";
        assert_eq!((lost(stats), lost("")), (8, 0));
    }
}
