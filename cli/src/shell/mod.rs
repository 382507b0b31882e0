//! `shell`: a person in a machine like those that tests run in.

mod escape;
pub(crate) mod guest;
pub(crate) mod include;
mod input;
pub(crate) mod machine;
mod session;
mod terminal;
pub(crate) mod tools;

use crate::kernel;
use crate::setup;
use anyhow::{Context, Result};
use guest::Guest;
use include::Include;
use ktstr::{Accel, Settings, Topology};
use ktstr_cache::Cache;
use ktstr_kernels::Spec;
use ktstr_wire::{Run, Streams};
use machine::Shape;
use session::{Mode, Session};
use std::io::IsTerminal;
use std::process::ExitCode;
use tools::Userland;

/// Exit code when there was no machine, or none that came to an end of its own.
const NO_ANSWER: u8 = 2;

/// Open a shell in a virtual machine, or run one command there
///
/// The machine has the host's bash or busybox with the usual tools, /dev, /proc, /sys, cgroup2, bpffs and tracefs, and
/// nothing of it outlives the shell. On a terminal, Ctrl-A x ends it, and Ctrl-A h lists what else Ctrl-A does; what the
/// kernel warns of comes between, as on any serial console. With input or output elsewhere the shell reads its commands
/// from there. The exit code is the shell's or the command's, 128+N for signal N, and 2 when there was none.
///
/// Should this program be killed with SIGKILL, your terminal stays as it was set for the guest: `reset` brings it back.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// CPUs: NUMA nodes, LLCs, cores per LLC, threads per core
    #[arg(long, value_name = "N,L,C,T", default_value = "1,1,2,1")]
    topology: Topology,
    /// The kernel: latest (default), host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
    #[arg(long, value_name = "SPEC")]
    kernel: Option<Spec>,
    /// What runs the machine: auto (default), kvm or tcg
    #[arg(long)]
    accel: Option<Accel>,
    /// RAM, such as 512M or 4G; by default 2G and 16M for each CPU
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Put a file or directory into the guest, an ELF program with its libraries; as /root/NAME unless DEST says where.
    /// May be given several times
    #[arg(long, value_name = "SRC[:DEST]")]
    include: Vec<Include>,
    /// Run CMD with `sh -c` in /root instead of a shell. Its output comes on standard output and standard error, and nothing
    /// else does on the former. It reads standard input, if that is not a terminal
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
}

/// Runs the machine until it is over.
pub fn run(args: &Args) -> ExitCode {
    ExitCode::from(session(args).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        NO_ANSWER
    }))
}

fn session(args: &Args) -> Result<u8> {
    let settings = Settings::from_env()?;
    let mode = mode(args.exec.is_some())?;
    let cache = Cache::open_default()?;
    let userland = Userland::find()?;
    let image = include::add_all(userland.image, &args.include)?;
    let accel = args.accel.unwrap_or(settings.accel);
    setup::for_accelerator(accel)?;
    let spec = args.kernel.clone().map_or_else(|| settings.kernel.parse().context("KTSTR_KERNEL"), Ok)?;
    let kernel = kernel::resolve(&spec)?;
    let payload = ktstr::with_kernel_config(image, &kernel).build(&cache)?;
    let shape = Shape { topology: args.topology, memory_bytes: args.memory, accel };
    let (config, why) = machine::configure(shape, &kernel, &payload, &cache, &settings)?;
    if let Mode::Terminal(_) = mode {
        eprintln!("Linux {} on {} CPUs; {why}", kernel.meta.release, args.topology.cpus());
        eprintln!("Ctrl-A x ends the machine, Ctrl-A h lists what else Ctrl-A does");
    }
    let order = order(args, userland.shell, mode);
    Session::new(Guest::boot(&config, &payload, &order)?, mode).run()
}

/// A person at a terminal has the guest's console; anything else is connected by pipes.
fn mode(has_command: bool) -> Result<Mode> {
    let on_terminal = std::io::stdin().is_terminal();
    Ok(if has_command {
        Mode::Piped { has_input: !on_terminal }
    } else if on_terminal && std::io::stdout().is_terminal() {
        Mode::Terminal(terminal::size()?)
    } else {
        Mode::Piped { has_input: true }
    })
}

fn order(args: &Args, shell: Vec<String>, mode: Mode) -> Run {
    let argv = match &args.exec {
        Some(command) => ["/bin/sh", "-c", command].map(str::to_owned).to_vec(),
        None => shell,
    };
    Run {
        entropy: None,
        argv,
        env: tools::environment(),
        dir: tools::HOME.to_owned(),
        streams: match mode {
            Mode::Terminal(size) => Streams::Terminal(size),
            Mode::Piped { .. } => Streams::Piped,
        },
        context: Vec::new(),
        deadline_ns: u64::MAX,
        schedulers: Vec::new(),
        begin_scheduled: false,
        map_writes: Vec::new(),
        trace: None,
    }
}

/// A number of bytes, with K, M or G for binary multiples.
fn parse_size(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(['K', 'M', 'G']);
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => u32::MAX,
    };
    let number = digits.parse::<u64>().ok().filter(|number| shift < u64::BITS && *number <= u64::MAX >> shift);
    number.map(|number| number << shift).with_context(|| format!("{text:?} is no size: write 512M or 4G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let check = |text: &str, expected: Option<u64>| assert_eq!(parse_size(text).ok(), expected, "{text}");
        check("2G", Some(2 << 30));
        check("512M", Some(512 << 20));
        check("2048K", Some(2 << 20));
        check("1048576", Some(1 << 20));
        check("1000", Some(1000));
        check("G", None);
        check("2GG", None);
        check("2T", None);
        check("18446744073709551615G", None);
    }
}
