//! What the kernel knows of its CPUs and tasks, printed on the console before what hangs is killed.

use anyhow::{Context, Result};
use ktstr_wire::dump::{BEGINS, ENDS, KEYS};
use std::fs::{self, File};
use std::io::Write;

/// Takes SysRq keys, whatever `kernel.sysrq` lets a keyboard do.
const TRIGGER: &str = "/proc/sysrq-trigger";

/// The console's level is the first of four (Documentation/admin-guide/sysctl/kernel.rst, "printk").
const LEVELS: &str = "/proc/sys/kernel/printk";

/// Everything.
const ALL_LEVELS: &str = "8";

/// Has the kernel print its dumps, between two lines by which the host finds them.
///
/// # Errors
/// What could not be opened or written.
pub(crate) fn dump() -> Result<()> {
    let levels = fs::read_to_string(LEVELS).with_context(|| format!("cannot read {LEVELS}"))?;
    set_levels(ALL_LEVELS)?;
    say(BEGINS)?;
    // One write a key: the kernel takes the first byte of each.
    let pressed = KEYS.iter().try_for_each(|key| fs::write(TRIGGER, [*key]));
    say(ENDS)?;
    set_levels(levels.trim())?;
    pressed.with_context(|| format!("cannot write to {TRIGGER}"))
}

fn set_levels(levels: &str) -> Result<()> {
    fs::write(LEVELS, levels).with_context(|| format!("cannot write {LEVELS}"))
}

/// A line in the kernel's log, so that it stands on the console before and after what the kernel prints.
fn say(line: &str) -> Result<()> {
    let log = File::options().write(true).open("/dev/kmsg");
    log.and_then(|mut log| log.write_all(line.as_bytes())).context("cannot write to the kernel's log")
}
