//! The QEMU backend: the same guest under software emulation, deterministic by default.
//!
//! All vCPUs take turns on one host thread and guest time counts instructions (`-icount`), so a run is a function of its
//! inputs and its seed. Nothing is fed in while it runs, unless something is typed: the serial ports are files that take
//! every byte at once, and the host's clock is not shown to the guest. What this cannot show: true parallelism, cache effects.

pub mod args;
mod find;
mod input;
mod interface;
mod launch;
pub(crate) mod limits;
mod numa;
mod plugin;
mod process;
pub(crate) mod qmp;
mod snapshot;
mod stops;

pub use find::{Qemu, Version};

// Compiled by the build script, and here only for the linter.
#[cfg(clippy)]
#[path = "../../plugin/plugin.rs"]
mod plugin_source;

use crate::config::VmConfig;
use crate::machine::{Exit, Machine, VcpuClock};
use crate::memory::GuestRam;
use crate::serial_log::SerialLog;
use crate::stops::{self as stop_points, Hook};
use input::Input;
use ktstr_wire::Topology;
use launch::{Launch, Launched};
use process::Process;
use serde_json::json;
use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;
use stops::Stops;

/// Why QEMU cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such program.
    #[error(
        "cannot find {program}: install QEMU (Debian: `apt-get install qemu-system-x86`), or set KTSTR_QEMU to its path"
    )]
    NotFound {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// It would not say what it is.
    #[error("cannot tell the version of {}: `--version` gave {output:?}", program.display())]
    UnknownVersion {
        /// The program.
        program: PathBuf,
        /// What it printed.
        output: String,
    },
    /// Too old.
    #[error("{} is QEMU {version}: 7.2 or newer is needed", program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: Version,
    },
    /// More APIC ids than can be emulated.
    #[error(
        "topology {topology} has APIC ids up to {highest}, and emulation with counted instructions goes to {limit}: the \
         nearest that works is {nearest}; KVM runs this one (KTSTR_ACCEL=kvm)"
    )]
    ApicIds {
        /// As declared.
        topology: Topology,
        /// Its highest APIC id.
        highest: u32,
        /// The highest that works.
        limit: u32,
        /// What works.
        nearest: Topology,
    },
    /// More NUMA nodes than can be emulated.
    #[error(
        "{nodes} NUMA nodes are more than the {limit} that QEMU can be told of; KVM has no such limit (KTSTR_ACCEL=kvm)"
    )]
    Nodes {
        /// As declared.
        nodes: usize,
        /// The most that work.
        limit: usize,
    },
    /// The process could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// Our plugin could not be given to it.
    #[error("cannot make a file of the plugin for QEMU")]
    Plugin(#[source] io::Error),
    /// The process ended, or did not answer, before the guest could run.
    #[error("QEMU did not come up: {why}{}", said(stderr))]
    NotUp {
        /// What was being done.
        why: String,
        /// What QEMU said.
        stderr: String,
    },
    /// Stop points could not be shared with it.
    #[error("cannot make a file or a thread for stop points")]
    Stops(#[source] io::Error),
    /// It does not take the command.
    #[error("cannot send an NMI to the guest: {source}")]
    Nmi {
        /// What came back.
        source: io::Error,
    },
    /// A machine could not be saved, or not made of what was saved.
    #[error("cannot {action} a machine of QEMU: {source}{}", said(stderr))]
    Snapshot {
        /// What was being done.
        action: &'static str,
        /// What came back.
        source: io::Error,
        /// What QEMU said.
        stderr: String,
    },
    /// Nothing can be typed.
    #[error("cannot {action} the guest's console: {source}")]
    Input {
        /// What was being done: `type into` or `send a BREAK to`.
        action: &'static str,
        /// What came back.
        source: io::Error,
    },
}

/// As [`crate::Vm::lacks`].
const DISTURBED: &str = "our plugin does not know how to keep this QEMU's other threads from ending vCPUs' turns, so on a \
                         busy host the same seed may be another run";

fn said(stderr: &str) -> String {
    let text = stderr.trim();
    if text.is_empty() { String::new() } else { format!("; it said: {text}") }
}

/// A machine in a QEMU process.
pub(crate) struct QemuMachine {
    process: Process,
    // Dropped last: its thread ends when QEMU has.
    input: Input,
    launch: Launch,
    stops: Stops,
    lacks: Option<String>,
    /// What the host let the machine have in processes that are gone.
    spent: Vec<VcpuClock>,
}

impl QemuMachine {
    pub(crate) fn new(
        config: &VmConfig,
        ram: &GuestRam,
        console: &SerialLog,
        control: &SerialLog,
        from: Option<&[u8]>,
    ) -> Result<Self, crate::Error> {
        let launch = Launch::new(config, ram, console, control)?;
        let stops = Stops::new(config.pace).map_err(Error::Stops)?;
        let Launched { process, input, lacks } = launch.process(stops.raw_fd(), from)?;
        Ok(Self { process, input, launch, stops, lacks, spent: Vec::new() })
    }

    /// Has the machine go on in a new process.
    fn move_on(&mut self, state: &[u8]) -> Result<(), Error> {
        let spent = self.vcpu_clocks();
        let Launched { process, input, lacks } = self.launch.process(self.stops.raw_fd(), Some(state))?;
        // The process before the pipe that it reads, as when all are dropped.
        (self.process, self.lacks, self.spent) = (process, lacks, spent);
        self.input = input;
        Ok(())
    }
}

/// What [`VmConfig::identity`] has of this backend.
pub(crate) fn identity(config: &VmConfig) -> Result<String, crate::Error> {
    // Numbers of descriptors are the same in all machines: none.
    const NONE: RawFd = -1;
    let qemu = Qemu::find()?;
    let nodes: Vec<_> = config.machine.nodes.iter().map(|node| (NONE, node.memory_bytes)).collect();
    let [console, control, input, stops] = [NONE; 4];
    let plugin = Some(NONE);
    let files = args::Files { ram_nodes: &nodes, console, control, input, plugin, stops, waits_for_state: false };
    let cmdline = crate::cmdline::build(config, &args::kernel_words(config)?)?;
    let words = args::build(qemu.version, config, &files, &cmdline);
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    Ok(format!("{}\n{}\nplugin {}", qemu.release, words.join(" "), interface::checksum()))
}

fn not_saved(action: &'static str, source: io::Error, process: &mut Process) -> Error {
    Error::Snapshot { action, source, stderr: process.said() }
}

fn cannot_type(source: io::Error) -> Error {
    Error::Input { action: "type into", source }
}

impl Machine for QemuMachine {
    fn stop_at(&mut self, hook: Hook) -> Result<(), crate::Error> {
        if let Some(why) = &self.lacks {
            let why = format!("the machine is {why}");
            return Err(stop_points::Error::Backend { address: hook.address, why }.into());
        }
        Ok(self.stops.add(hook)?)
    }

    fn start(&mut self) -> Result<(), crate::Error> {
        self.stops.start(&self.launch.ram).map_err(Error::Stops)?;
        Ok(self.process.cont()?)
    }

    fn stop_at_mark(&mut self) -> bool {
        self.lacks.is_none() && self.stops.stop_at_mark()
    }

    fn freeze(&mut self) -> Result<bool, crate::Error> {
        match self.process.has_stopped() {
            // It is over, and `exit` will tell how.
            Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                Ok(false)
            }
            has_stopped => Ok(has_stopped.map_err(|source| not_saved("freeze", source, &mut self.process))?),
        }
    }

    fn save(&mut self) -> Result<Vec<u8>, crate::Error> {
        let saved = snapshot::save(&mut self.process);
        let state = saved.map_err(|source| not_saved("save", source, &mut self.process))?;
        // The migration has woken the emulation thread at moments of the host's, which leaves it at one vCPU or another
        // (accel/tcg/tcg-accel-ops-rr.c): what runs first would be chance.
        self.move_on(&state)?;
        Ok(state)
    }

    fn resume(&mut self) -> Result<(), crate::Error> {
        Ok(self.process.cont()?)
    }

    fn type_into_console(&mut self, bytes: &[u8]) -> Result<(), crate::Error> {
        let (process, console) = (&mut self.process, self.launch.console);
        let typed = self.input.send(bytes, |input| {
            // Until now COM1 had no input at all, so that a run in which nothing is typed is a function of its seed.
            let output = format!("/proc/self/fd/{console}");
            let backend = json!({ "out": output, "append": true, "in": format!("/proc/self/fd/{input}") });
            let backend = json!({ "type": "file", "data": backend });
            process.execute("chardev-change", json!({ "id": args::COM1, "backend": backend })).map(drop)
        });
        Ok(typed.map_err(cannot_type)?)
    }

    fn send_break(&mut self) -> Result<(), crate::Error> {
        let sent = self.process.execute("chardev-send-break", json!({ "id": args::COM1 }));
        sent.map_err(|source| Error::Input { action: "send a BREAK to", source })?;
        Ok(())
    }

    fn send_sysrq(&mut self, key: u8) -> Result<(), crate::Error> {
        let holds = !self.process.has_stopped().map_err(cannot_type)?;
        if holds {
            self.process.hold().map_err(cannot_type)?;
        }
        let sent = self.send_break().and_then(|()| self.type_into_console(&[key]));
        self.input.wait_until_taken();
        if holds {
            self.process.let_go().map_err(cannot_type)?;
        }
        sent
    }

    fn send_nmi(&mut self) -> Result<(), crate::Error> {
        self.process.execute("inject-nmi", json!({})).map_err(|source| Error::Nmi { source })?;
        Ok(())
    }

    fn exit(&mut self) -> Option<Exit> {
        let exit = self.process.exit();
        if exit.is_some() {
            self.stops.finish();
        }
        self.stops.failure().map(Exit::Broken).or(exit)
    }

    fn lacks(&self) -> Option<&str> {
        self.lacks.as_deref().or_else(|| self.stops.are_disturbed().then_some(DISTURBED))
    }

    fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        let clocks = self.process.vcpu_clocks().into_iter().enumerate();
        clocks.map(|(vcpu, clock)| self.spent.get(vcpu).map_or(clock, |spent| clock + *spent)).collect()
    }

    fn executed(&mut self) -> Option<Duration> {
        // It tells the count whether or not anything is recorded or replayed.
        let answer = self.process.execute("query-replay", json!({})).ok()?;
        Some(Duration::from_nanos(answer["icount"].as_u64()? << args::ICOUNT_SHIFT))
    }

    fn stop(&mut self) -> Result<(), crate::Error> {
        self.process.stop();
        self.stops.finish();
        Ok(())
    }
}
