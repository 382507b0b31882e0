//! The QEMU process: started, talked to over QMP, and gone when we are.

use super::Error;
use crate::machine::{Exit, VcpuClock};
use crate::memfd;
use crate::qemu::qmp::Session;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The event that tells of a machine that stands still.
const STOPPED: &str = "STOP";

/// A QEMU process with a QMP session.
pub(crate) struct Process {
    pid: u32,
    qmp: Option<Session>,
    stderr: File,
    vcpu_tids: Vec<u32>,
    ended: mpsc::Receiver<String>,
    keeper: Option<JoinHandle<()>>,
    exit: Option<Exit>,
}

impl Process {
    /// Starts QEMU, which waits before the first instruction. It inherits `fds` and dies with this process.
    pub(crate) fn spawn(program: &Path, mut args: Vec<OsString>, fds: &[RawFd]) -> Result<Self, Error> {
        let start = |source| Error::Start { program: program.to_owned(), source };
        let (ours, theirs) = UnixStream::pair().map_err(start)?;
        let stderr = memfd::create(c"ktstr-qemu-stderr").map_err(start)?;
        let qmp_fd = theirs.as_raw_fd();
        // For people who look at the process list; the guest does not see it.
        args.extend(["-name".into(), format!("ktstr-{},debug-threads=on", std::process::id()).into()]);
        args.extend(["-chardev".into(), format!("socket,id=qmp,fd={qmp_fd}").into()]);
        args.extend(["-mon".into(), "chardev=qmp,mode=control".into()]);
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(stderr.try_clone().map_err(start)?);
        inherit(&mut command, fds.iter().copied().chain([qmp_fd]).collect());
        let (child, ended, keeper) = keep(command).map_err(start)?;
        drop(theirs);
        let mut process =
            Self { pid: child, qmp: None, stderr, vcpu_tids: Vec::new(), ended, keeper: Some(keeper), exit: None };
        process.connect(ours)?;
        Ok(process)
    }

    /// Lets the guest run.
    pub(crate) fn cont(&mut self) -> Result<(), Error> {
        self.bring_up("cont").map(drop)
    }

    /// Stops a guest that runs, until [`Process::let_go`]: none of its time passes.
    pub(crate) fn hold(&mut self) -> io::Result<()> {
        self.execute("stop", json!({})).map(drop)
    }

    /// Lets it run again, and forgets that it has stopped: that was no doing of the guest's.
    pub(crate) fn let_go(&mut self) -> io::Result<()> {
        self.execute("cont", json!({}))?;
        if let Some(qmp) = &mut self.qmp {
            qmp.forget(STOPPED);
        }
        Ok(())
    }

    /// Whether the guest stands still, by itself.
    pub(crate) fn has_stopped(&mut self) -> io::Result<bool> {
        self.qmp.as_mut().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |qmp| qmp.has_heard(STOPPED))
    }

    /// Gives QEMU a descriptor, by which commands name it.
    pub(crate) fn give(&mut self, name: &str, fd: RawFd) -> io::Result<()> {
        self.qmp.as_mut().map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |qmp| qmp.give(name, fd))
    }

    /// What QEMU has said on its standard error.
    pub(crate) fn said(&mut self) -> String {
        let mut text = Vec::new();
        let read = self.stderr.seek(SeekFrom::Start(0)).and_then(|_| self.stderr.read_to_end(&mut text));
        match read {
            Ok(_) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => format!("(its messages cannot be read: {error})"),
        }
    }

    /// Runs a QMP command.
    pub(crate) fn execute(&mut self, command: &str, arguments: Value) -> io::Result<Value> {
        match &mut self.qmp {
            Some(qmp) => qmp.execute(command, arguments),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Why the guest stopped, once it has.
    pub(crate) fn exit(&mut self) -> Option<Exit> {
        if self.exit.is_none()
            && let Ok(status) = self.ended.try_recv()
        {
            self.exit = Some(self.reason(&status));
        }
        self.exit.clone()
    }

    pub(crate) fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        self.vcpu_tids.iter().filter_map(|tid| VcpuClock::of_thread(self.pid, *tid)).collect()
    }

    /// Kills the process and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            // SAFETY: plain system call; the keeper has not reaped the process before it reports, and until it is joined
            // a stale pid could only be met in the moment between, when the process has ended by itself.
            unsafe { libc::kill(self.pid as libc::pid_t, libc::SIGKILL) };
            let _ = keeper.join();
        }
    }

    fn connect(&mut self, socket: UnixStream) -> Result<(), Error> {
        let session = Session::open(socket);
        self.qmp = Some(session.map_err(|error| self.not_up(format!("no QMP session: {error}")))?);
        let cpus = self.bring_up("query-cpus-fast")?;
        let tids = cpus.as_array().into_iter().flatten().filter_map(|cpu| cpu["thread-id"].as_u64());
        self.vcpu_tids = tids.map(|tid| tid as u32).collect();
        self.vcpu_tids.dedup();
        Ok(())
    }

    /// A command without which the guest cannot run.
    fn bring_up(&mut self, command: &str) -> Result<Value, Error> {
        let answer = self.execute(command, json!({}));
        answer.map_err(|error| self.not_up(format!("the QMP command `{command}` failed: {error}")))
    }

    fn not_up(&mut self, why: String) -> Error {
        let why = match self.ended.recv_timeout(Duration::from_millis(200)) {
            Ok(status) => format!("it ended with {status}"),
            Err(_) => why,
        };
        Error::NotUp { why, stderr: self.said() }
    }

    /// QEMU's last QMP event tells a power-off from a reset.
    fn reason(&mut self, status: &str) -> Exit {
        let events = self.qmp.as_mut().map_or(&[][..], Session::last_events);
        if let Some(shutdown) = events.iter().find(|event| event.name == "SHUTDOWN") {
            return match shutdown.data["reason"].as_str() {
                Some("guest-shutdown") => Exit::PowerOff,
                Some("guest-reset") => Exit::Reset,
                other => Exit::Broken(format!("QEMU shut down: {other:?}")),
            };
        }
        // Nobody else sends it while the harness waits for the guest.
        let hint = if status.contains("SIGKILL") {
            ", as by the host's kernel when memory is short (see `dmesg`)"
        } else {
            ""
        };
        Exit::Broken(format!("QEMU ended with {status}{hint}{}", super::said(&self.said())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes the kernel end this process before any that it has not been asked of, when memory is short: whoever waits for it
/// lives to tell, and gives its memory back.
fn be_first_to_go() {
    let (path, worst) = (c"/proc/self/oom_score_adj", b"1000");
    // SAFETY: system calls on constants. Without them all works, but for a host that is short of memory.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::write(fd, worst.as_ptr().cast(), worst.len());
            libc::close(fd);
        }
    }
}

/// Makes the child keep `fds` and die with the thread that started it.
fn inherit(command: &mut Command, fds: Vec<RawFd>) {
    let parent = std::process::id();
    let prepare = move || {
        be_first_to_go();
        for fd in &fds {
            // SAFETY: plain system call on a descriptor that the parent holds open.
            if unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        // SAFETY: plain system calls. A parent that died before the request is noticed by its pid having changed.
        unsafe {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
                return Err(io::Error::last_os_error());
            }
            if libc::getppid() as u32 != parent {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe system calls and allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

/// Starts the command on a thread that lives as long as the child does, because the death signal follows the thread.
fn keep(mut command: Command) -> io::Result<(u32, mpsc::Receiver<String>, JoinHandle<()>)> {
    let (spawned_in, spawned_out) = mpsc::channel();
    let (ended_in, ended_out) = mpsc::channel();
    let keeper = std::thread::Builder::new().name("qemu-keeper".into()).spawn(move || {
        let child: io::Result<Child> = command.spawn();
        let (pid, child) = match child {
            Ok(child) => (Ok(child.id()), Some(child)),
            Err(error) => (Err(error), None),
        };
        let _ = spawned_in.send(pid);
        if let Some(mut child) = child {
            let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
            let _ = ended_in.send(status);
        }
    })?;
    match spawned_out.recv() {
        Ok(Ok(pid)) => Ok((pid, ended_out, keeper)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("the keeper thread died")),
    }
}
