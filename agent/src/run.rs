//! The one program: started, listened to, and ended.

use crate::control::Control;
use crate::dump::dump;
use crate::input::Input;
use crate::link::Link;
use crate::now_ns;
use anyhow::{Context, Result, bail};
use ktstr_wire::message::{CONTEXT_ENV, MAX_REPORT_BYTES, REPORT_FD_ENV};
use ktstr_wire::{ExitStatus, GuestMessage, Run, Stream, Streams};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, wait};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

const CONTEXT_PATH: &str = "/run/ktstr-context";
const READ_BYTES: usize = 32 << 10;
const REAP_EVERY_NS: u64 = 1_000_000_000;

/// Runs the program to its end, forwards all that it says, and reports how it ended.
pub(crate) fn run(order: &Run, control: &Control, link: &mut Link) -> Result<()> {
    fs::write(CONTEXT_PATH, &order.context).with_context(|| format!("cannot write {CONTEXT_PATH}"))?;
    if order.streams != Streams::Captured {
        link.be_patient();
    }
    let mut program = Program::start(order)?;
    control.send(&GuestMessage::Started { at_ns: now_ns() });
    let status = program.attend(order.deadline_ns, link)?;
    let at_ns = now_ns();
    if status == ExitStatus::Deadline
        && let Err(error) = dump()
    {
        control.fault(&format!("no dump of the kernel's tasks: {error:#}"));
    }
    end_all();
    program.drain(link)?;
    program.input.finish()?;
    control.send(&GuestMessage::Exited { status, at_ns });
    Ok(())
}

struct Program {
    pid: Pid,
    pidfd: OwnedFd,
    pipes: Vec<Pipe>,
    report: Vec<u8>,
    input: Input,
}

struct Pipe {
    fd: fs::File,
    /// `None` is the report descriptor.
    stream: Option<Stream>,
}

impl Program {
    fn start(order: &Run) -> Result<Self> {
        let [program, args @ ..] = &order.argv[..] else { bail!("the host's order names no program") };
        let (report_out, report_in) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
        fcntl_setfd(&report_in, FdFlags::empty()).context("cannot let the program inherit a pipe")?;
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(order.env.iter().map(|(key, value)| (key, value)));
        command.env(REPORT_FD_ENV, report_in.as_raw_fd().to_string()).env(CONTEXT_ENV, CONTEXT_PATH);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(&order.dir);
        let mut input = Input::prepare(order.streams, &mut command)?;
        let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        drop(report_in);
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("cannot watch the program")?;
        input.begin(child.stdin.take())?;
        let pipes = [
            (child.stdout.take().map(OwnedFd::from), Some(Stream::Stdout)),
            (child.stderr.take().map(OwnedFd::from), Some(Stream::Stderr)),
            (Some(report_out), None),
        ];
        // A program on the console has no pipes for its output.
        let pipes = pipes.into_iter().filter_map(|(fd, stream)| Some(Pipe::new(fd?, stream)));
        Ok(Self { pid, pidfd, pipes: pipes.collect::<Result<_>>()?, report: Vec::new(), input })
    }

    /// Forwards until the program ends or its time is up; it still runs then.
    fn attend(&mut self, deadline_ns: u64, link: &mut Link) -> Result<ExitStatus> {
        let end_ns = now_ns().saturating_add(deadline_ns);
        loop {
            let Some(left_ns) = end_ns.checked_sub(now_ns()) else {
                return Ok(ExitStatus::Deadline);
            };
            self.wait_for_news(left_ns.min(REAP_EVERY_NS).min(self.input.look_every_ns()))?;
            self.forward(link)?;
            self.input.listen(link)?;
            if let Some(status) = self.reap()? {
                return Ok(status);
            }
        }
    }

    /// Sleeps until a pipe has something, the program has ended, or the time is up.
    fn wait_for_news(&self, timeout_ns: u64) -> Result<()> {
        let timeout =
            Timespec { tv_sec: (timeout_ns / 1_000_000_000) as i64, tv_nsec: (timeout_ns % 1_000_000_000) as _ };
        let mut fds: Vec<PollFd<'_>> = self.pipes.iter().map(|pipe| PollFd::new(&pipe.fd, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.pidfd, PollFlags::IN));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for the program"),
        }
    }

    /// Forwards what is in the pipes now. A pipe whose writers are gone is closed.
    fn forward(&mut self, link: &mut Link) -> Result<()> {
        let mut open = Vec::new();
        for mut pipe in std::mem::take(&mut self.pipes) {
            if self.forward_one(&mut pipe, link)? {
                open.push(pipe);
            }
        }
        self.pipes = open;
        Ok(())
    }

    /// Whether the pipe may still bring something.
    fn forward_one(&mut self, pipe: &mut Pipe, link: &mut Link) -> Result<bool> {
        let mut bytes = vec![0; READ_BYTES];
        match pipe.fd.read(&mut bytes) {
            Ok(0) => return Ok(false),
            Ok(count) => bytes.truncate(count),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(true);
            }
            Err(error) => return Err(error).context("cannot read what the program says"),
        }
        match pipe.stream {
            Some(stream) => link.send(&GuestMessage::Output { stream, bytes })?,
            None => {
                self.report.extend_from_slice(&bytes);
                self.forward_reports(link)?;
            }
        }
        Ok(true)
    }

    /// Forwards the whole frames of the report descriptor.
    fn forward_reports(&mut self, link: &mut Link) -> Result<()> {
        while let Some((length, rest)) = self.report.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if length > MAX_REPORT_BYTES {
                bail!("the program wrote a report frame of {length} bytes, more than the {MAX_REPORT_BYTES} allowed");
            }
            let Some(frame) = rest.get(..length) else { return Ok(()) };
            link.send(&GuestMessage::Report(frame.to_vec()))?;
            self.report.drain(..4 + length);
        }
        Ok(())
    }

    /// Forwards the rest, once every process is gone.
    fn drain(&mut self, link: &mut Link) -> Result<()> {
        while !self.pipes.is_empty() {
            self.forward(link)?;
        }
        Ok(())
    }

    /// Reaps every process that has ended, those that were left to PID 1 among them. Tells how the program ended.
    fn reap(&self) -> Result<Option<ExitStatus>> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid != self.pid {
                continue;
            }
            return Ok(Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => ExitStatus::Code(code),
                (None, Some(signal)) => ExitStatus::Signal(signal),
                (None, None) => bail!("the program has the unknown exit status {status:?}"),
            }));
        }
        Ok(None)
    }
}

impl Pipe {
    fn new(fd: OwnedFd, stream: Option<Stream>) -> Result<Self> {
        never_wait(fd.as_fd())?;
        Ok(Self { fd: fs::File::from(fd), stream })
    }
}

/// From now on reading and writing the pipe do not wait.
pub(crate) fn never_wait(pipe: BorrowedFd<'_>) -> Result<()> {
    let flags = fcntl_getfl(pipe).context("cannot read the flags of a pipe")?;
    fcntl_setfl(pipe, flags | OFlags::NONBLOCK).context("cannot set the flags of a pipe")
}

/// Kills and reaps every other process, so that nothing holds a pipe open.
fn end_all() {
    // The "process group" of PID 1 is spelled -1, which kill(2) takes as every process but PID 1 itself. Failing means
    // that there is none.
    let _ = kill_process_group(Pid::INIT, Signal::KILL);
    while let Ok(Some(_)) | Err(rustix::io::Errno::INTR) = wait(WaitOptions::empty()) {}
}
