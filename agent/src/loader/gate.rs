//! The process that becomes the scheduler.

use super::cannot_run;
use anyhow::{Context, Result, bail};
use rustix::io::{FdFlags, fcntl_setfd};
use std::io::{Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What the tracer says when it traces.
pub(super) const GO: u8 = 1;

/// Waits until it is traced, and becomes the program. Returns only if that cannot be.
pub(super) fn pass(args: &[String]) -> Result<()> {
    let [fd, program, args @ ..] = args else { bail!("a gate needs a descriptor and a program") };
    let fd = fd.parse().context("a gate's first argument is a descriptor")?;
    // SAFETY: `prepare` has passed it, and nothing else here has it.
    let mut tracer = UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    fcntl_setfd(tracer.as_fd(), FdFlags::CLOEXEC).context("cannot keep a descriptor from the scheduler")?;
    let mut word = [0];
    tracer.read_exact(&mut word).context("there is no tracer for the scheduler")?;
    let error = Command::new(program).args(args).exec();
    let text = cannot_run(Path::new(program), &error);
    tracer.write_all(text.as_bytes()).context("cannot tell that the scheduler cannot be started")?;
    bail!(text)
}
