//! A running program: what it prints is taken in at once, so that it never waits for that, and its end is noticed.

use super::launch::Outputs;
use super::output::Output;
use crate::clock::monotonic_ns;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread::JoinHandle;

const READ_BYTES: usize = 16 << 10;

/// A program and the thread that watches it. Dropping it kills the program.
#[derive(Debug)]
pub(crate) struct Watch {
    pid: i32,
    pidfd: Arc<OwnedFd>,
    thread: Option<JoinHandle<Ended>>,
}

/// What it came to.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// As wait4(2) gives it; `None` when somebody else has waited for it.
    pub(super) status: Option<i32>,
    pub(super) at_ns: u64,
    /// Of itself and the children that it waited for.
    pub(super) cpu_time_ns: u64,
    pub(super) voluntary_switches: u64,
    pub(super) involuntary_switches: u64,
    pub(super) stdout: Output,
    pub(super) stderr: Output,
}

impl Watch {
    /// Watches a child of this process.
    pub(crate) fn begin(pid: i32, outputs: Outputs) -> io::Result<Self> {
        let pidfd = Arc::new(pidfd_open(pid)?);
        let Outputs { from, into } = outputs;
        drop(into);
        let files = from.map(File::from);
        for file in &files {
            never_wait(file)?;
        }
        let watched = Arc::clone(&pidfd);
        let thread =
            std::thread::Builder::new().name(format!("watch-{pid}")).spawn(move || attend(pid, &watched, files))?;
        Ok(Self { pid, pidfd, thread: Some(thread) })
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Asks it to end; `false` when it has ended already.
    pub(crate) fn terminate(&self) -> bool {
        let runs = !is_ready(self.pidfd.as_raw_fd());
        runs && self.signal(libc::SIGTERM)
    }

    /// Ends it.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// What it came to, once it has ended.
    pub(crate) fn join(mut self) -> Ended {
        let mut ended = self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        wait(self.pid, &mut ended);
        ended
    }

    fn signal(&self, signal: i32) -> bool {
        let pidfd = self.pidfd.as_raw_fd();
        // SAFETY: a live descriptor; the pointer to the signal's details may be null.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, std::ptr::null::<u8>(), 0) == 0 }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.kill();
            let _ = thread.join();
            wait(self.pid, &mut Ended::default());
        }
    }
}

/// Takes in what it prints until it has ended; then ends what is left of its process group. The program is not waited
/// for: as long as it is not, nothing else has its number, and the kernel's account of it can be read.
fn attend(pid: i32, pidfd: &OwnedFd, [mut stdout, mut stderr]: [File; 2]) -> Ended {
    let mut ended = Ended::default();
    let mut open = [true, true];
    loop {
        let watched = |file: &File, open| if open { file.as_raw_fd() } else { -1 };
        wait_for_any([watched(&stdout, open[0]), watched(&stderr, open[1]), pidfd.as_raw_fd()]);
        // Looked at before the pipes are emptied, so that what it printed last is in them.
        let over = is_ready(pidfd.as_raw_fd());
        if over {
            ended.at_ns = monotonic_ns();
            // SAFETY: a plain system call. The group is the program's own, since that is not waited for yet.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
        open = [take(&mut stdout, &mut ended.stdout), take(&mut stderr, &mut ended.stderr)];
        if over {
            return ended;
        }
    }
}

/// Takes in what is there; `false` when nothing more will come.
fn take(file: &mut File, output: &mut Output) -> bool {
    let mut bytes = [0; READ_BYTES];
    loop {
        match file.read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => output.push(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

fn wait(pid: i32, ended: &mut Ended) {
    let mut status = 0;
    // SAFETY: zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: live locals; the pid is our own child's, which has ended.
    if unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } == pid {
        let ns = |time: libc::timeval| (time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64) * 1000;
        ended.status = Some(status);
        ended.cpu_time_ns = ns(usage.ru_utime) + ns(usage.ru_stime);
        ended.voluntary_switches = usage.ru_nvcsw as u64;
        ended.involuntary_switches = usage.ru_nivcsw as u64;
    }
}

fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn never_wait(file: &File) -> io::Result<()> {
    // SAFETY: a live descriptor, no pointers.
    let done = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn wait_for_any(fds: [RawFd; 3]) {
    poll(&mut fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }), -1);
}

/// A pidfd is, when its process has ended.
fn is_ready(fd: RawFd) -> bool {
    poll(&mut [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }], 0)
}

fn poll(fds: &mut [libc::pollfd], timeout_ms: i32) -> bool {
    // SAFETY: a live slice of this length; descriptors below zero are passed over.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout_ms) > 0 }
}
