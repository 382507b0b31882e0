//! The process of a scheduler.

use crate::link::Link;
use crate::loader::{self, Asked, Tracer};
use crate::pipe::{Piece, Pipe};
use anyhow::{Context, Result, bail};
use ktstr_wire::scheduler::SchedulerEvent;
use ktstr_wire::{ExitStatus, GuestMessage, Stream};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process_group, pidfd_open, setrlimit};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Leads a process group of its own, in the root cgroup.
pub(super) struct Process {
    pid: Pid,
    /// `None` once it has ended.
    pidfd: Option<OwnedFd>,
    pipes: Vec<(Pipe, Stream)>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts it, with nothing to read; traced, if something is asked for that needs it.
    pub(super) fn start(
        argv: &[String],
        env: &[(String, String)],
        asked: Option<Asked>,
    ) -> Result<(Self, Option<Tracer>)> {
        let [program, args @ ..] = argv else { bail!("the host's order names no program for the scheduler") };
        let (mut command, gate) = match asked {
            Some(asked) => loader::prepare(asked, argv).map(|(command, gate)| (command, Some(gate)))?,
            None => (Command::new(program), None),
        };
        if gate.is_none() {
            command.args(args);
        }
        command.env_clear().envs(env.iter().map(|(key, value)| (key, value))).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        // What BPF maps take counted against this before Linux 5.11; some programs still look at it.
        let unlimited = Rlimit { current: None, maximum: None };
        // SAFETY: a system call, which allocates nothing and takes no lock.
        unsafe { command.pre_exec(move || Ok(setrlimit(Resource::Memlock, unlimited)?)) };
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the scheduler's process")?;
        let stdout = child.stdout.take().map(|stdout| (OwnedFd::from(stdout), Stream::Stdout));
        let stderr = child.stderr.take().map(|stderr| (OwnedFd::from(stderr), Stream::Stderr));
        let pipes = stdout.into_iter().chain(stderr);
        let pipes = pipes.map(|(fd, stream)| Ok((Pipe::new(fd)?, stream))).collect::<Result<_>>()?;
        let tracer = gate.map(|gate| gate.trace(pid)).transpose()?;
        Ok((Self { pid, pidfd: Some(pidfd), pipes, status: None }, tracer))
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has.
    pub(super) fn status(&self) -> Option<&ExitStatus> {
        self.status.as_ref()
    }

    pub(super) fn output_is_open(&self) -> bool {
        !self.pipes.is_empty()
    }

    /// What tells that it has something to say, or has ended.
    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.pipes.iter().map(|(pipe, _)| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(self.pidfd.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
    }

    /// Forwards what is in the pipes now. A pipe whose writers are gone is closed.
    pub(super) fn forward(&mut self, link: &mut Link) -> Result<()> {
        let mut open = Vec::new();
        for (mut pipe, stream) in std::mem::take(&mut self.pipes) {
            match pipe.read()? {
                Piece::End => continue,
                Piece::Nothing => {}
                Piece::Bytes(bytes) => {
                    link.send(&GuestMessage::Scheduler(SchedulerEvent::Output { stream, bytes }))?;
                }
            }
            open.push((pipe, stream));
        }
        self.pipes = open;
        Ok(())
    }

    /// Notes its end, if it is among the processes that have ended; tells whether it is.
    pub(super) fn note(&mut self, ended: &[(Pid, ExitStatus)]) -> bool {
        let Some((_, status)) = ended.iter().find(|(pid, _)| *pid == self.pid) else { return false };
        self.status = Some(status.clone());
        self.pidfd = None;
        true
    }

    /// Sends it the signal that asks it to end.
    pub(super) fn ask_to_end(&self, signal: i32) -> Result<()> {
        if self.pidfd.is_none() {
            return Ok(());
        }
        // Not rustix's: it knows no real-time signals.
        // SAFETY: no pointers.
        if unsafe { libc::kill(self.pid.as_raw_pid(), signal) } == 0 {
            return Ok(());
        }
        Err(io::Error::last_os_error()).with_context(|| format!("cannot send signal {signal} to the scheduler"))
    }

    /// Kills what is left of its group.
    pub(super) fn kill(&self) {
        // Failing means that there is nothing left.
        let _ = kill_process_group(self.pid, Signal::KILL);
    }
}
