//! The outer machine as a process: what it inherits, and that it never outlives us.

use super::{Args, qemu};
use anyhow::{Context, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// A running outer machine. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Machine {
    child: Child,
}

/// Our ends of what connects us with the machine.
#[derive(Debug)]
pub(super) struct Streams {
    /// The outer kernel's console.
    pub(super) console: UnixStream,
    /// The supervisor's messages.
    pub(super) control: UnixStream,
    /// The command's stdout.
    pub(super) out: UnixStream,
    /// The command's stderr.
    pub(super) err: UnixStream,
    /// QEMU's own complaints.
    pub(super) qemu: ChildStderr,
}

impl Machine {
    /// Starts a machine as `args` say. It dies with the calling thread, so that thread has to stay.
    ///
    /// # Errors
    /// When QEMU is missing or cannot be started.
    pub(super) fn start(kernel: &Path, initramfs: &[u8], args: &Args) -> Result<(Self, Streams)> {
        let initramfs = in_memory(initramfs)?;
        let pair = || UnixStream::pair().context("cannot make a socket pair");
        let (console, console_there) = pair()?;
        let (control, control_there) = pair()?;
        let (out, out_there) = pair()?;
        let (err, err_there) = pair()?;
        let theirs: [OwnedFd; 4] = [console_there, control_there, out_there, err_there].map(OwnedFd::from);
        let sockets = theirs.each_ref().map(AsRawFd::as_raw_fd);
        let arguments = qemu::arguments(&qemu::Machine {
            kernel,
            initramfs: initramfs.as_raw_fd(),
            vcpus: args.vcpus,
            cpu: args.cpu.as_deref(),
            memory_mib: args.memory,
            sockets,
        });
        let mut child = spawn(&arguments, initramfs.as_raw_fd(), sockets)?;
        let qemu = child.stderr.take();
        let machine = Self { child };
        let qemu = qemu.context("QEMU has no stderr")?;
        Ok((machine, Streams { console, control, out, err, qemu }))
    }

    /// Ends the machine at once.
    pub(super) fn kill(&mut self) {
        // Both fail only when it has ended and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file without a name, so that none is left behind.
fn in_memory(content: &[u8]) -> Result<File> {
    let fd = memfd_create("kvm-lab-initramfs", MemfdFlags::CLOEXEC).context("cannot make a file in memory")?;
    let mut file = File::from(fd);
    file.write_all(content).context("cannot write the initramfs into memory")?;
    Ok(file)
}

fn spawn(arguments: &[std::ffi::OsString], initramfs: RawFd, sockets: [RawFd; 4]) -> Result<Child> {
    let parent = getpid();
    let mut command = Command::new(qemu::PROGRAM);
    // A process group of its own: Ctrl-C reaches us alone, and our death reaches QEMU.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).process_group(0);
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(parent) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        for fd in sockets.into_iter().chain([initramfs]) {
            // SAFETY: The caller holds these open across the fork, and the child has them too.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: Between fork and exec the closure only makes system calls; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(prepare) };
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("{} is not installed: run `cargo xtask setup`", qemu::PROGRAM),
        _ => anyhow::Error::new(error).context(format!("cannot start {}", qemu::PROGRAM)),
    })
}
