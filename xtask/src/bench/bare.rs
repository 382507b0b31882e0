//! QEMU without a harness around it.

use super::guest::{MARK, POWERED_OFF};
use super::process::{self, Measured};
use anyhow::{Context, Result, bail};
use ktstr_vmm::{Chosen, VmConfig, cmdline, qemu};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One thread, time by instructions, as our machines are.
pub(super) const DETERMINISTIC: &str = "-accel tcg,thread=single -icount shift=3,sleep=off -cpu max";

/// A kernel command line as a person writes it.
pub(super) const PLAIN_CMDLINE: &str = "console=ttyS0 loglevel=5 panic=-1";

/// How often a console is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
    /// CPUs, as the option `-smp` takes them.
    pub(super) smp: String,
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
            smp: config.machine.topology.cpus().to_string(),
            ram_bytes: config.machine.memory_bytes(),
        })
    }

    /// The command; the console goes to `console`.
    pub(super) fn command(&self, program: &Path, machine: &str, console: &Path) -> Command {
        let mut command = Command::new(program);
        command.args(machine.split_ascii_whitespace());
        command.args(["-smp", &self.smp, "-m", &format!("{}M", self.ram_bytes >> 20)]);
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

    /// Boots until the first process says that it runs; how long that took, or `None` when it did not by `limit`.
    ///
    /// # Errors
    /// When QEMU does not start, or ends before.
    pub(super) fn to_first_process(&self, program: &Path, machine: &str, limit: Duration) -> Result<Option<Duration>> {
        let console = tempfile::NamedTempFile::new().context("cannot make a file for a console")?;
        let began = Instant::now();
        let mut command = self.command(program, machine, console.path());
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let mut qemu = started.with_context(|| format!("cannot start {command:?}"))?;
        let seen = wait_for_mark(&mut qemu, console.path(), began, limit);
        // It may have powered itself off by now.
        let _ = qemu.kill();
        qemu.wait().context("cannot wait for QEMU")?;
        seen
    }
}

fn wait_for_mark(qemu: &mut Child, console: &Path, began: Instant, limit: Duration) -> Result<Option<Duration>> {
    loop {
        // Asked before looking: what the guest said last is then seen in this round.
        let ended = qemu.try_wait().context("cannot wait for QEMU")?;
        let said = std::fs::read(console).context("cannot read a console")?;
        let waited = began.elapsed();
        if said.contains(&MARK.1) {
            return Ok(Some(waited));
        }
        if let Some(status) = ended {
            bail!(
                "QEMU ended with {status} before its guest's first process; it said {}",
                String::from_utf8_lossy(&said)
            );
        }
        if waited > limit {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
