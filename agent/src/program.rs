//! The one program of the order: started, listened to, and its end noted.

use crate::input::Input;
use crate::link::Link;
use crate::pipe::{Piece, Pipe};
use anyhow::{Context, Result, anyhow, bail};
use ktstr_wire::frames;
use ktstr_wire::message::{MAX_REPORT_BYTES, REPORT_FD_ENV};
use ktstr_wire::{ExitStatus, GuestMessage, Run, Stream, Streams};
use rustix::event::{PollFd, PollFlags};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The program, from its start on.
pub(crate) struct Program {
    pid: Pid,
    /// `None` once it has ended.
    pidfd: Option<OwnedFd>,
    pipes: Vec<(Pipe, Source)>,
    report: Vec<u8>,
    input: Input,
    status: Option<ExitStatus>,
}

/// What comes through a pipe.
#[derive(Clone, Copy)]
enum Source {
    Output(Stream),
    Reports,
}

impl Program {
    /// Starts it, with `env` besides what the order says. It inherits `handed`, whose numbers it finds in `env`.
    pub(crate) fn start(order: &Run, env: Vec<(&str, String)>, handed: Option<OwnedFd>) -> Result<Self> {
        let [program, args @ ..] = &order.argv[..] else { bail!("the host's order names no program") };
        let (report_out, report_in) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
        for fd in [Some(&report_in), handed.as_ref()].into_iter().flatten() {
            fcntl_setfd(fd, FdFlags::empty()).context("cannot let the program inherit a descriptor")?;
        }
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(order.env.iter().map(|(key, value)| (key, value)));
        command.env(REPORT_FD_ENV, report_in.as_raw_fd().to_string()).envs(env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(&order.dir);
        if !matches!(order.streams, Streams::Terminal(_)) {
            // With a terminal it is the first of a session, and so of a group.
            command.process_group(0);
        }
        let mut input = Input::prepare(order.streams, &mut command)?;
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        drop((report_in, handed));
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the program")?;
        input.begin(child.stdin.take())?;
        let pipes = [
            (child.stdout.take().map(OwnedFd::from), Source::Output(Stream::Stdout)),
            (child.stderr.take().map(OwnedFd::from), Source::Output(Stream::Stderr)),
            (Some(report_out), Source::Reports),
        ];
        // A program on the console has no pipes for its output.
        let pipes = pipes.into_iter().filter_map(|(fd, source)| Some(Pipe::new(fd?).map(|pipe| (pipe, source))));
        let pipes = pipes.collect::<Result<_>>()?;
        Ok(Self { pid, pidfd: Some(pidfd), pipes, report: Vec::new(), input, status: None })
    }

    /// How it ended, if it has.
    pub(crate) fn status(&self) -> Option<&ExitStatus> {
        self.status.as_ref()
    }

    /// What tells that it has something to say, or has ended.
    pub(crate) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.pipes.iter().map(|(pipe, _)| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(self.pidfd.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
    }

    /// How long to wait at most before the next [`Program::forward`].
    pub(crate) fn look_every_ns(&self) -> u64 {
        self.input.look_every_ns()
    }

    /// Forwards what is in the pipes now, and what the host says. A pipe whose writers are gone is closed.
    pub(crate) fn forward(&mut self, link: &mut Link) -> Result<()> {
        let mut open = Vec::new();
        for (mut pipe, source) in std::mem::take(&mut self.pipes) {
            match pipe.read()? {
                Piece::End => continue,
                Piece::Nothing => {}
                Piece::Bytes(bytes) => self.forward_bytes(source, bytes, link)?,
            }
            open.push((pipe, source));
        }
        self.pipes = open;
        self.input.listen(link)
    }

    fn forward_bytes(&mut self, source: Source, bytes: Vec<u8>, link: &mut Link) -> Result<()> {
        match source {
            Source::Output(stream) => link.send(&GuestMessage::Output { stream, bytes }),
            Source::Reports => {
                self.report.extend_from_slice(&bytes);
                self.forward_reports(link)
            }
        }
    }

    /// Forwards the whole frames of the report descriptor.
    fn forward_reports(&mut self, link: &mut Link) -> Result<()> {
        while let Some(frame) = frames::take(&mut self.report, MAX_REPORT_BYTES).map_err(|length| {
            anyhow!("the program wrote a report frame of {length} bytes, more than the {MAX_REPORT_BYTES} allowed")
        })? {
            link.send(&GuestMessage::Report(frame))?;
        }
        Ok(())
    }

    /// Notes its end, if it is among the processes that have ended.
    pub(crate) fn note(&mut self, ended: &[(Pid, ExitStatus)]) {
        if let Some((_, status)) = ended.iter().find(|(pid, _)| *pid == self.pid) {
            self.status = Some(status.clone());
            self.pidfd = None;
        }
    }

    /// Kills it, and those of its group that it started: beside busy ones it may get no CPU to end on, under a scheduler that
    /// is broken.
    pub(crate) fn kill(&self) {
        // Failing means that they are gone.
        let _ = self.pidfd.as_ref().map(|_| kill_process_group(self.pid, Signal::KILL));
    }

    /// Forwards the rest, once every process is gone.
    pub(crate) fn finish(&mut self, link: &mut Link) -> Result<()> {
        while !self.pipes.is_empty() {
            self.forward(link)?;
        }
        self.input.finish()
    }
}
