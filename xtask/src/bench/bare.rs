//! QEMU without a harness around it.

use super::guest::POWERED_OFF;
use super::process::{self, Measured};
use anyhow::{Context, Result, bail};
use ktstr_vmm::{Chosen, VmConfig, cmdline, qemu};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

/// Tries at a boot. QEMU's default emulation, with a thread for each CPU, sometimes breaks a kernel that patches itself.
const TRIES: u32 = 4;

/// What a boot is made of, the machine's options aside.
pub(super) struct Boot<'a> {
    /// The uncompressed kernel.
    pub(super) kernel: &'a Path,
    /// The initramfs.
    pub(super) initramfs: &'a Path,
    /// Kernel command line.
    pub(super) cmdline: String,
    /// CPUs.
    pub(super) cpus: u32,
    /// RAM.
    pub(super) ram_bytes: u64,
}

impl<'a> Boot<'a> {
    /// The guest of `config`, with the same words on its command line as our own machine gives it.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) fn of(config: &'a VmConfig) -> Result<Self> {
        let extra = match config.accel {
            Chosen::Kvm => vec!["no_timer_check".to_owned()],
            Chosen::Tcg => qemu::args::kernel_words(config)?,
        };
        Ok(Self {
            kernel: &config.kernel,
            initramfs: &config.initramfs,
            cmdline: cmdline::build(config, &extra)?,
            cpus: config.machine.topology.cpus(),
            ram_bytes: config.machine.memory_bytes(),
        })
    }

    /// The command; the console goes to `console`.
    pub(super) fn command(&self, program: &Path, machine: &str, console: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(machine.split_ascii_whitespace());
        command.args(["-smp", &self.cpus.to_string(), "-m", &format!("{}M", self.ram_bytes >> 20)]);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
        let serial: OsString = [OsString::from("file:"), console.into()].into_iter().collect();
        command.arg("-serial").arg(serial);
        command.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs).args(["-append", &self.cmdline]);
        command
    }

    /// Boots until the guest has powered the machine off.
    ///
    /// # Errors
    /// When it does not get that far in several tries.
    pub(super) fn run(&self, program: &Path, machine: &str) -> Result<Measured> {
        let console = tempfile::NamedTempFile::new().context("cannot make a file for a console")?;
        for _ in 0..TRIES {
            let measured = process::measure(&mut self.command(program, machine, console.path()))?;
            let text = std::fs::read(console.path()).context("cannot read a console")?;
            let text = String::from_utf8_lossy(&text);
            if text.contains(POWERED_OFF) {
                return Ok(measured);
            }
            let last = text.lines().last().unwrap_or_default();
            eprintln!("bench: QEMU's guest did not power off, so it is booted again; its last words: {last}");
        }
        bail!("the guest of `qemu {machine}` did not power off in {TRIES} tries")
    }
}
