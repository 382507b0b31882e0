//! The QEMU backend: the same guest under software emulation, deterministic by default.
//!
//! All vCPUs take turns on one host thread and guest time counts instructions (`-icount`), so a run is a function of its
//! inputs and its seed. Nothing is fed in while it runs: the serial ports are files that take every byte at once, and
//! the host's clock is not shown to the guest. What this cannot show: true parallelism, cache effects.

pub mod args;
mod find;
mod process;
mod qmp;

pub use find::{Qemu, Version};

use crate::config::VmConfig;
use crate::machine::{Exit, Machine, VcpuClock};
use crate::memory::GuestRam;
use crate::serial_log::SerialLog;
use process::Process;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

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
    /// The process could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The process ended, or did not answer, before the guest could run.
    #[error("QEMU did not come up: {why}{}", said(stderr))]
    NotUp {
        /// What was being done.
        why: String,
        /// What QEMU said.
        stderr: String,
    },
}

fn said(stderr: &str) -> String {
    let text = stderr.trim();
    if text.is_empty() { String::new() } else { format!("; it said: {text}") }
}

/// A machine in a QEMU process.
pub(crate) struct QemuMachine {
    process: Process,
}

impl QemuMachine {
    pub(crate) fn new(
        config: &VmConfig,
        ram: &GuestRam,
        console: &SerialLog,
        control: &SerialLog,
    ) -> Result<Self, crate::Error> {
        let qemu = Qemu::find()?;
        let nodes: Vec<_> =
            ram.files().iter().map(|file| file.as_raw_fd()).zip(ram.node_bytes().iter().copied()).collect();
        let files = args::Files { ram_nodes: &nodes, console: console.raw_fd(), control: control.raw_fd() };
        let cmdline = crate::cmdline::build(config, &args::kernel_words(config)?)?;
        let args = args::build(qemu.version, config, &files, &cmdline);
        Ok(Self { process: Process::spawn(&qemu.program, args, &files.all())? })
    }
}

impl Machine for QemuMachine {
    fn start(&mut self) -> Result<(), crate::Error> {
        Ok(self.process.cont()?)
    }

    fn exit(&mut self) -> Option<Exit> {
        self.process.exit()
    }

    fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        self.process.vcpu_clocks()
    }

    fn stop(&mut self) -> Result<(), crate::Error> {
        self.process.stop();
        Ok(())
    }
}
