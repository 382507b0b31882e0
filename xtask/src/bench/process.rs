//! One process, and what it took.

use anyhow::{Context, Result, ensure};
use std::process::{Command, Output};
use std::time::Instant;

/// What a process, its descendants included, took.
#[derive(Debug)]
pub(super) struct Measured {
    /// From before its start until it was gone.
    pub(super) wall_s: f64,
    /// User and system time of it and of the descendants that it waited for, in steps of a clock tick.
    pub(super) cpu_s: f64,
}

/// Runs the command, which must succeed.
///
/// # Errors
/// When it cannot be started or fails, with what it printed last.
pub(super) fn measure(command: &mut Command) -> Result<Measured> {
    let (measured, output) = measure_any(command)?;
    ensure!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, tail(&output));
    Ok(measured)
}

/// Runs the command, whatever comes of it.
///
/// # Errors
/// When it cannot be started.
pub(super) fn measure_any(command: &mut Command) -> Result<(Measured, Output)> {
    let cpu_before_s = children_cpu_s()?;
    let began = Instant::now();
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let wall_s = began.elapsed().as_secs_f64();
    let cpu_s = children_cpu_s()? - cpu_before_s;
    Ok((Measured { wall_s, cpu_s }, output))
}

/// The last lines of what a process printed.
pub(super) fn tail(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Processor time of all children that were waited for.
fn children_cpu_s() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let ticks = children_ticks(&text).context("cannot understand /proc/self/stat")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// `cutime` and `cstime`, fields 16 and 17 (proc_pid_stat(5)), counted from behind the name, which may hold anything.
fn children_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(13);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_children_of_an_odd_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 200 0 0 11 12 130 14 20 0 1 0 5 6 7";
        assert_eq!(children_ticks(stat), Some(144));
        assert_eq!(children_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn a_failure_shows_what_was_printed() {
        let error = measure(Command::new("sh").args(["-c", "echo why; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }
}
