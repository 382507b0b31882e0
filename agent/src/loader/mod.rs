//! A scheduler program that is looked at while it loads.
//!
//! Two things cannot be had from outside: the verifier's log of a program that loads (libbpf asks for none), and a
//! watchdog other than the scheduler's. So its bpf(2) calls are changed on their way into the kernel, with ptrace(2),
//! until it is enabled; then it is let go, and nothing of this remains while the test runs.
//!
//! The waits of PID 1 and those of a tracer do not mix, so the agent's binary is run twice more: as a *gate*, which is
//! the process that the scheduler will be and waits until it is traced, and as the *tracer*. The scheduler is a child of
//! PID 1 like any other, which learns of its end.
//!
//! Not seen are programs that the kernel loads itself on behalf of a loader program (libbpf's light skeletons), and 32-bit
//! programs.

mod attr;
mod call;
mod gate;
mod load;
mod memory;
mod news;
mod ops;
mod ptrace;
mod tracees;

pub(crate) use news::{News, Tracer};

use crate::scheduler::rise_with_children;
use anyhow::{Context, Result, bail};
use ktstr_wire::scheduler::SchedulerOrder;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, getpid};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

const GATE: &str = "ktstr-gate";
const TRACER: &str = "ktstr-tracer";
const SELF: &str = "/proc/self/exe";
/// Logs go through the pipe; the default holds a sixteenth of this.
const PIPE_BYTES: usize = 1 << 20;

/// What is to be done while a scheduler loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asked {
    /// `timeout_ms` of `struct sched_ext_ops`.
    pub(crate) watchdog_timeout_ms: Option<u32>,
    /// `log_level` of `BPF_PROG_LOAD`, a set of `BPF_LOG_LEVEL1`, `BPF_LOG_LEVEL2` and `BPF_LOG_STATS`
    /// (include/linux/bpf_verifier.h); 0 for no logs.
    pub(crate) log_level: u32,
}

impl Asked {
    /// What an order asks for; `None` if its program can be started like any other.
    pub(crate) fn of(order: &SchedulerOrder) -> Option<Self> {
        let asked = Self { watchdog_timeout_ms: order.watchdog_timeout_ms, log_level: order.verifier_log_level };
        (asked != Self { watchdog_timeout_ms: None, log_level: 0 }).then_some(asked)
    }
}

/// A program that has not been started, for it is not traced yet.
pub(crate) struct Gate {
    asked: Asked,
    /// Ours, for the tracer.
    inner: UnixStream,
    /// The gate's, until it has it.
    outer: UnixStream,
}

/// A command that becomes the program once it is traced. Environment, directory and streams are the caller's to set.
pub(crate) fn prepare(asked: Asked, argv: &[String]) -> Result<(Command, Gate)> {
    if asked.log_level & !7 != 0 {
        bail!("a verifier log of level {} cannot be taken: levels are sums of 1, 2 and 4", asked.log_level);
    }
    let (inner, outer) = UnixStream::pair().context("cannot make a pair of sockets")?;
    inherit(outer.as_fd())?;
    let mut command = Command::new(SELF);
    command.arg(GATE).arg(outer.as_raw_fd().to_string()).args(argv);
    Ok((command, Gate { asked, inner, outer }))
}

impl Gate {
    /// Traces the process of the command, which then becomes the program.
    pub(crate) fn trace(self, pid: Pid) -> Result<Tracer> {
        // The tracer reads until the gate's end is closed, so it must not inherit that.
        drop(self.outer);
        let (news_out, news_in) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
        let (release_out, release_in) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
        // Smaller pipes do, too.
        let _ = fcntl_setpipe_size(&news_in, PIPE_BYTES);
        for fd in [self.inner.as_fd(), news_in.as_fd(), release_out.as_fd()] {
            inherit(fd)?;
        }
        let numbers = [
            pid.as_raw_nonzero().get(),
            self.inner.as_raw_fd(),
            news_in.as_raw_fd(),
            release_out.as_raw_fd(),
            // The host checks that it is no more than the kernel's 30 s.
            self.asked.watchdog_timeout_ms.map_or(-1, |ms| ms as i32),
            self.asked.log_level as i32,
        ];
        let mut command = Command::new(SELF);
        command.arg(TRACER).args(numbers.map(|number| number.to_string())).env_clear().stdin(Stdio::null());
        // PID 1 reaps it, as it reaps everything.
        command.spawn().context("cannot start the tracer of the scheduler")?;
        Tracer::new(news_out, release_in, self.asked)
    }
}

fn inherit(fd: BorrowedFd<'_>) -> Result<()> {
    fcntl_setfd(fd, FdFlags::empty()).context("cannot let a process inherit a descriptor")
}

/// Does what a process other than PID 1 was started for; `None` for PID 1.
pub(crate) fn role() -> Option<Result<()>> {
    // The kernel passes what it does not know of its command line to PID 1.
    if getpid() == Pid::INIT {
        return None;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == GATE => Some(gate::pass(rest)),
        Some((role, rest)) if role == TRACER => Some(be_tracer(rest)),
        _ => None,
    }
}

fn be_tracer(args: &[String]) -> Result<()> {
    let numbers: Vec<i32> = args.iter().filter_map(|arg| arg.parse().ok()).collect();
    let [pid, gate, news, release, timeout_ms, log_level] = numbers[..] else { bail!("wrong arguments: {args:?}") };
    let pid = Pid::from_raw(pid).context("no process")?;
    let asked = Asked { watchdog_timeout_ms: u32::try_from(timeout_ms).ok(), log_level: log_level as u32 };
    // SAFETY: `Gate::trace` has passed these, and nothing else here has them.
    let [gate, news, release] = unsafe { [gate, news, release].map(|fd| OwnedFd::from_raw_fd(fd)) };
    // A scheduler that stalls what it has does not have this, and is not stalled by it.
    rise_with_children()?;
    tracees::trace(pid, asked, UnixStream::from(gate), news::Teller::new(news), release)
}

/// Whether there is a program to be run at this path, in words.
fn cannot_run(program: &Path, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", program.display())
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
