//! The host's order, carried out: the scheduler under test, the program, and everything that they say.

use crate::control::Control;
use crate::dump::dump;
use crate::link::Link;
use crate::now_ns;
use crate::program::Program;
use crate::reap::{end_all, reap};
use crate::scheduler::Schedulers;
use crate::trace::Trace;
use anyhow::{Context, Result};
use ktstr_wire::message::CONTEXT_ENV;
use ktstr_wire::scheduler::{REQUEST_FD_ENV, SCHEDULER_PID_ENV};
use ktstr_wire::{ExitStatus, GuestMessage, Run, Streams};
use rustix::event::{PollFd, Timespec, poll};
use std::fs;
use std::os::fd::AsRawFd;

const CONTEXT_PATH: &str = "/run/ktstr-context";

/// Nothing tells of the ends of processes that were left to PID 1.
const REAP_EVERY_NS: u64 = 1_000_000_000;

/// Runs the program to its end, under the scheduler that the order begins with; forwards all that both say, and reports
/// how they ended. Where that scheduler is not enabled, the program is not started.
pub(crate) fn run(order: &Run, control: &Control, link: &mut Link) -> Result<()> {
    fs::write(CONTEXT_PATH, &order.context).with_context(|| format!("cannot write {CONTEXT_PATH}"))?;
    if order.streams != Streams::Captured {
        link.be_patient();
    }
    let trace = order.trace.as_ref().map(|order| Trace::begin(order, link)).transpose()?.flatten();
    let mut session = Session { schedulers: Schedulers::new(order), program: None, trace, control, link };
    session.settle()?;
    if order.begin_scheduled && !session.schedulers.is_enabled() {
        end_all();
        return session.finish();
    }
    session.start_program(order)?;
    let status = session.attend(order.deadline_ns)?;
    let at_ns = now_ns();
    if status == ExitStatus::Deadline {
        session.give_up()?;
    }
    session.end()?;
    control.send(&GuestMessage::Exited { status, at_ns });
    Ok(())
}

/// What runs, and the ways to the host.
struct Session<'a> {
    schedulers: Schedulers,
    program: Option<Program>,
    trace: Option<Trace>,
    control: &'a Control,
    link: &'a mut Link,
}

impl Session<'_> {
    /// Goes on until the scheduler is where it is to be.
    fn settle(&mut self) -> Result<()> {
        while self.schedulers.are_under_way() {
            self.turn(u64::MAX)?;
        }
        Ok(())
    }

    fn start_program(&mut self, order: &Run) -> Result<()> {
        let mut env = vec![(CONTEXT_ENV, CONTEXT_PATH.to_owned())];
        let requests = (!order.schedulers.is_empty()).then(|| self.schedulers.accept_requests()).transpose()?;
        env.extend(requests.iter().map(|requests| (REQUEST_FD_ENV, requests.as_raw_fd().to_string())));
        env.extend(self.schedulers.pid().map(|pid| (SCHEDULER_PID_ENV, pid.to_string())));
        self.program = Some(Program::start(order, env, requests)?);
        self.control.send(&GuestMessage::Started { at_ns: now_ns() });
        self.schedulers.begin_writes();
        Ok(())
    }

    /// Forwards until the program ends or its time is up; it still runs then.
    fn attend(&mut self, deadline_ns: u64) -> Result<ExitStatus> {
        let end_ns = now_ns().saturating_add(deadline_ns);
        loop {
            let Some(left_ns) = end_ns.checked_sub(now_ns()) else {
                return Ok(ExitStatus::Deadline);
            };
            self.turn(left_ns)?;
            if let Some(status) = self.program.as_ref().and_then(Program::status) {
                return Ok(status.clone());
            }
        }
    }

    /// Has the kernel tell what hangs, and kills the program.
    fn give_up(&mut self) -> Result<()> {
        let control = self.control;
        self.schedulers.keep_apart(self.link, || {
            if let Err(error) = dump() {
                control.fault(&format!("no dump of the kernel's tasks: {error:#}"));
            }
        })?;
        self.program.iter().for_each(Program::kill);
        Ok(())
    }

    /// Stops the scheduler, then ends every process, and forwards what is left.
    fn end(&mut self) -> Result<()> {
        self.schedulers.end(self.link, self.control)?;
        self.settle()?;
        end_all();
        if let Some(program) = &mut self.program {
            program.finish(self.link)?;
        }
        self.finish()
    }

    /// Tells what is left to tell when nothing runs any more.
    fn finish(&mut self) -> Result<()> {
        self.schedulers.finish(self.link)?;
        self.trace.take().map_or(Ok(()), |trace| trace.end(self.link))
    }

    /// Waits until something happens, at most so long, and does what is to be done then.
    fn turn(&mut self, at_most_ns: u64) -> Result<()> {
        self.wait_for_news(at_most_ns)?;
        if let Some(program) = &mut self.program {
            program.forward(self.link)?;
        }
        let ended = reap()?;
        if let Some(program) = &mut self.program {
            program.note(&ended);
        }
        self.schedulers.turn(&ended, self.link, self.control)?;
        let is_enabled = self.schedulers.is_enabled();
        self.trace.as_mut().map_or(Ok(()), |trace| trace.follow(is_enabled, self.link))
    }

    fn wait_for_news(&self, at_most_ns: u64) -> Result<()> {
        let mut timeout_ns = at_most_ns.min(REAP_EVERY_NS).min(self.schedulers.look_every_ns());
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        if let Some(program) = &self.program {
            timeout_ns = timeout_ns.min(program.look_every_ns());
            program.watch(&mut fds);
        }
        self.schedulers.watch(&mut fds);
        let timeout =
            Timespec { tv_sec: (timeout_ns / 1_000_000_000) as i64, tv_nsec: (timeout_ns % 1_000_000_000) as _ };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for what runs"),
        }
    }
}
