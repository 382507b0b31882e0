//! `cargo xtask kvm-lab -- CMD`: run a command on a machine whose KVM is real, on any host.
//!
//! QEMU emulates an AMD machine with SVM and nested paging, without any acceleration. In it runs a distribution kernel
//! with kvm-amd; the root is the host's file system, read-only, under a writable layer that is gone afterwards. The
//! command runs as root with the caller's directory and environment, and finds a genuine `/dev/kvm`.
//!
//! The caller sees the command's stdout, stderr and exit code (128 + N after signal N). Own exit codes: 124 when the
//! time is up, 125 when the lab itself failed, 126 and 127 from the lab's shell when the command cannot be run or
//! found.

mod archive;
mod bundle;
mod console;
mod control;
mod job;
mod machine;
mod modules;
mod package;
mod qemu;
mod session;

use anyhow::{Context, Result, bail};
use archive::Archive;
use bundle::Bundle;
use console::Console;
use job::Job;
use machine::Machine;
use session::Outcome;
use std::ffi::OsString;
use std::time::Duration;

const TIMED_OUT: i32 = 124;
const LAB_FAILED: i32 = 125;
/// What a shell reports for a command that SIGPIPE ended.
const PIPE_BROKEN: i32 = 141;

const BOOT: &str = include_str!("boot.sh");
const SUPERVISE: &str = include_str!("supervise.sh");

/// Run a command where there is a genuine /dev/kvm: kvm-amd on an emulated machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Time limit, boot included: seconds, or a number with `s`, `m` or `h`
    #[arg(long, default_value = "300s", value_parser = parse_duration)]
    timeout: Duration,
    /// Outer vCPUs; with more than one the outer kernel is slow and sometimes dies
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    vcpus: u32,
    /// Additions to QEMU's `-cpu`: with family=23,model=1 the processor is of the first Zen, whose LLCs begin at every eighth
    /// APIC id, so that guests with few CPUs have ids above 254
    #[arg(long)]
    cpu: Option<String>,
    /// Outer memory, with `M` or `G`; half of it at most holds what the command writes
    #[arg(long, default_value = "4G", value_parser = parse_memory_mib)]
    memory: u64,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs the command of `args` in the lab and returns the exit code to end with.
///
/// # Errors
/// None but what the caller's main would print as well; a failure of the lab itself is printed and is exit code 125.
pub(crate) fn run(args: &Args) -> Result<i32> {
    match try_run(args) {
        Ok(code) => Ok(code),
        Err(error) => {
            eprintln!("kvm-lab: {error:#}");
            Ok(LAB_FAILED)
        }
    }
}

fn try_run(args: &Args) -> Result<i32> {
    let bundle = Bundle::find_or_make(&ktstr_cache::Cache::open_default()?)?;
    let mut initramfs = bundle.initramfs()?;
    initramfs.extend(job_archive(&args.command)?);
    let (machine, streams) = Machine::start(&bundle.kernel(), &initramfs, args)?;
    drop(initramfs);
    let console = Console::default();
    let outcome = session::run(machine, streams, &console, args.timeout);
    Ok(report(args, &outcome, &console))
}

/// The part of the initramfs that is about this one command.
fn job_archive(command: &[OsString]) -> Result<Vec<u8>> {
    let dir = std::env::current_dir().context("cannot tell the current directory")?;
    let env: Vec<_> = std::env::vars_os().collect();
    let mut archive = Archive::default();
    archive.program("init", BOOT.as_bytes())?;
    archive.file("supervise.sh", SUPERVISE.as_bytes())?;
    archive.file("job.sh", &job::script(&Job { dir: &dir, env: &env, command }))?;
    archive.finish()
}

/// Says what there is to say about an outcome, and returns its exit code.
fn report(args: &Args, outcome: &Outcome, console: &Console) -> i32 {
    let command = || args.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let phase = |running: bool| match running {
        true => format!("`{}` was running", command()),
        false => format!("the machine was still booting, `{}` had not started", command()),
    };
    match *outcome {
        Outcome::Exited(code) => code,
        Outcome::Unread => PIPE_BROKEN,
        Outcome::TimedOut { running } => {
            let limit = args.timeout.as_secs_f64();
            eprintln!("kvm-lab: {limit} s have passed (--timeout) while {}; {}", phase(running), console.tail());
            TIMED_OUT
        }
        Outcome::Died { running } => {
            eprintln!("kvm-lab: the machine ended by itself while {}; {}", phase(running), console.tail());
            LAB_FAILED
        }
        Outcome::Lost => {
            eprintln!("kvm-lab: `{}` ended, but not all of its output arrived; {}", command(), console.tail());
            LAB_FAILED
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration> {
    let (digits, unit) = split_unit(text)?;
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("`{unit}` is no unit of time: use s, m or h"),
    };
    Ok(Duration::from_secs(digits.checked_mul(seconds).context("that is too long")?))
}

fn parse_memory_mib(text: &str) -> Result<u64> {
    const LEAST_MIB: u64 = 512;
    let (digits, unit) = split_unit(text)?;
    let mib = match unit {
        "M" => Some(digits),
        "G" => digits.checked_mul(1024),
        _ => bail!("give the memory with M or G, such as 4G"),
    };
    mib.filter(|&mib| mib >= LEAST_MIB).with_context(|| format!("the machine needs {LEAST_MIB}M or more"))
}

fn split_unit(text: &str) -> Result<(u64, &str)> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    Ok((digits.parse().with_context(|| format!("`{text}` does not start with a number"))?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("300", 300), ("1s", 1), ("5m", 300), ("2h", 7200)] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in ["", "s", "1d", "-1", "1.5s", "99999999999999999h"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory() {
        assert_eq!(parse_memory_mib("4G").unwrap(), 4096);
        assert_eq!(parse_memory_mib("1536M").unwrap(), 1536);
        for bad in ["", "4", "4T", "100M", "0G", "99999999999999999999G"] {
            assert!(parse_memory_mib(bad).is_err(), "{bad:?}");
        }
    }
}
