//! The console as a person's terminal.
//!
//! This process leads the session, and the program is the terminal's foreground: were the program the leader, its end
//! would hang the terminal up, and what it wrote last would be lost.

use anyhow::{Context, Result};
use ktstr_wire::WindowSize;
use rustix::fs::OFlags;
use rustix::process::{getpid, ioctl_tiocsctty, setpgid, setsid};
use rustix::stdio::stdin;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, Winsize, tcdrain, tcgetattr, tcsetattr, tcsetpgrp, tcsetwinsize,
};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const DEVICE: &str = "/dev/ttyS0";

/// The console, opened.
pub(crate) struct Terminal(File);

impl Terminal {
    /// Opens the console as this session's terminal and makes it as large as the host's.
    pub(crate) fn open(size: WindowSize) -> Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlags::NOCTTY.bits().cast_signed());
        let device = options.open(DEVICE).with_context(|| format!("cannot open the console {DEVICE}"))?;
        let mut settings = tcgetattr(&device).with_context(|| format!("cannot read the settings of {DEVICE}"))?;
        // No modem can hang up, and erasing erases characters, not bytes.
        settings.control_modes |= ControlModes::CLOCAL;
        settings.input_modes |= InputModes::IUTF8;
        tcsetattr(&device, OptionalActions::Now, &settings).with_context(|| format!("cannot set {DEVICE}"))?;
        setsid().context("cannot begin a session")?;
        ioctl_tiocsctty(&device).with_context(|| format!("cannot make {DEVICE} the controlling terminal"))?;
        // Or the terminal could not be waited for while another process is its foreground.
        // SAFETY: no handler is set, the signal is ignored.
        unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
        let this = Self(device);
        this.resize(size)?;
        Ok(this)
    }

    /// Makes it all three streams of the program, and the program its foreground, for job control and Ctrl-C.
    pub(crate) fn give_to(&self, command: &mut Command) -> Result<()> {
        let stream = || self.0.try_clone().with_context(|| format!("cannot duplicate {DEVICE}"));
        command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
        let come_to_the_front = || {
            setpgid(None, None)?;
            tcsetpgrp(stdin(), getpid())?;
            // SAFETY: no handler is set.
            unsafe { libc::signal(libc::SIGTTOU, libc::SIG_DFL) };
            Ok(())
        };
        // SAFETY: system calls, which allocate nothing and take no lock.
        unsafe { command.pre_exec(come_to_the_front) };
        Ok(())
    }

    /// Tells the foreground processes that the terminal has another size.
    pub(crate) fn resize(&self, size: WindowSize) -> Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.0, size).with_context(|| format!("cannot set the size of {DEVICE}"))
    }

    /// Waits until the device has all that was written.
    pub(crate) fn drain(&self) -> Result<()> {
        tcdrain(&self.0).with_context(|| format!("cannot wait for {DEVICE}"))
    }
}
