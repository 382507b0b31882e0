//! A scheduler that is a program, from its start to its end.

use super::kernel;
use super::life::{Act, Life, Seen};
use super::log::Log;
use super::process::Process;
use super::tell;
use super::tracing::Tracing;
use crate::control::Control;
use crate::link::Link;
use crate::loader::Asked;
use crate::now_ns;
use anyhow::Result;
use ktstr_wire::ExitStatus;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd, SchedulerEvent, SchedulerOrder};
use rustix::event::PollFd;
use rustix::process::Pid;

/// How often it is looked whether what is under way is done.
const LOOK_EVERY_NS: u64 = 2_000_000;

/// It is looked at only when somebody told that something happened, or something is under way.
pub(super) struct Running {
    life: Life,
    process: Process,
    tracing: Tracing,
    stop_signal: i32,
    is_under_way: bool,
    end: Option<SchedulerEnd>,
}

impl Running {
    /// Starts it.
    pub(super) fn start(argv: &[String], env: &[(String, String)], order: &SchedulerOrder) -> Result<Self> {
        kernel::require()?;
        let enable_seq = kernel::look()?.enable_seq;
        let (process, tracer) = Process::start(argv, env, Asked::of(order))?;
        let load_until_ns = now_ns().saturating_add(order.load_deadline_ns);
        let life = Life::new(enable_seq, load_until_ns, order.stop_deadline_ns);
        let tracing = Tracing::new(tracer);
        Ok(Self { life, process, tracing, stop_signal: order.stop_signal, is_under_way: true, end: None })
    }

    /// Its process, as long as it lives.
    pub(super) fn pid(&self) -> Option<i32> {
        self.process.status().is_none().then(|| self.process.pid().as_raw_pid())
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.life.is_enabled()
    }

    /// How it ended, if it has.
    pub(super) fn end(&self) -> Option<&SchedulerEnd> {
        self.end.as_ref()
    }

    /// What tells that something happened to it.
    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        self.process.watch(fds);
        self.tracing.watch(fds);
    }

    /// How long to wait at most before the next [`Running::turn`].
    pub(super) fn look_every_ns(&self) -> u64 {
        if self.is_under_way { LOOK_EVERY_NS } else { u64::MAX }
    }

    /// From now on it is to end.
    pub(super) fn ask_to_end(&mut self) {
        self.life.ask_to_end(now_ns());
        self.is_under_way = true;
    }

    /// Forwards what it says, and goes on with what is under way. `ended` are processes that have ended, `kernel_spoke`
    /// tells that sched_ext said something.
    pub(super) fn turn(
        &mut self,
        ended: &[(Pid, ExitStatus)],
        kernel_spoke: bool,
        log: &mut Log,
        link: &mut Link,
        control: &Control,
    ) -> Result<()> {
        self.process.forward(link)?;
        self.tracing.forward(link, control)?;
        let has_ended = self.process.note(ended);
        if !(self.is_under_way || has_ended || kernel_spoke) {
            return Ok(());
        }
        let seen = Seen {
            now_ns: now_ns(),
            kernel: kernel::look()?,
            // What the tracer has to tell is told before.
            process_is_gone: self.process.status().is_some() && !self.tracing.goes_on(),
            output_is_open: self.process.output_is_open(),
        };
        if self.tracing.must_end_first(seen.kernel.state) {
            return Ok(());
        }
        for act in self.life.step(&seen) {
            self.act(act, seen.now_ns, log, link, control)?;
        }
        self.is_under_way = self.life.is_under_way(seen.kernel.state);
        Ok(())
    }

    fn act(&mut self, act: Act, at_ns: u64, log: &mut Log, link: &mut Link, control: &Control) -> Result<()> {
        match act {
            Act::TellEnabled => {
                self.tracing.complain(control);
                tell(link, SchedulerEvent::Enabled { ops: kernel::ops(), pid: self.pid(), at_ns })
            }
            Act::TellDisabled => tell(link, SchedulerEvent::Disabled { at_ns }),
            Act::Kill => {
                self.process.kill();
                Ok(())
            }
            Act::AskToEnd => {
                if let Err(error) = self.process.ask_to_end(self.stop_signal) {
                    // It is killed when its time is up.
                    control.fault(&format!("{error:#}"));
                }
                Ok(())
            }
            Act::TellEnded { cause, killed } => {
                // What the kernel said of its end was said before the state that has been seen.
                log.forward(link)?;
                log.tell_missed(link)?;
                self.tell_ended(cause, killed, at_ns, link)
            }
        }
    }

    fn tell_ended(&mut self, cause: EndCause, killed: bool, at_ns: u64, link: &mut Link) -> Result<()> {
        let status = self.process.status().cloned();
        let cause = self.tracing.not_started().map_or(cause, EndCause::NotStarted);
        let end = SchedulerEnd { at_ns, cause, status, killed, state: kernel::state_word() };
        self.end = Some(end.clone());
        tell(link, SchedulerEvent::Ended(end))
    }
}
