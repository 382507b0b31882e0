//! Schedulers under test: started, watched, stopped and replaced, as the host ordered and the program asks.
//!
//! Nothing here waits. The agent's loop waits for what [`Schedulers::watch`] names, for as long as
//! [`Schedulers::look_every_ns`] allows, and [`Schedulers::turn`] does what can be done then. While a scheduler runs and
//! nothing happens, nothing is looked at either.

mod builtin;
mod current;
mod kernel;
mod kmsg;
mod life;
#[cfg(test)]
mod life_tests;
mod log;
mod process;
mod quota;
mod real_time;
mod requests;
mod running;
mod tracing;
mod why;
mod writes;

pub(crate) use real_time::rise_with_children;

use crate::bpf;
use crate::control::Control;
use crate::link::Link;
use crate::now_ns;
use anyhow::{Context, Result};
use current::{Current, Kind, turn_off};
use ktstr_wire::scheduler::{MapWrite, SchedulerEvent, SchedulerOrder, SchedulerReply, SchedulerRequest};
use ktstr_wire::{ExitStatus, GuestMessage, Run};
use log::Log;
use requests::Requests;
use running::Running;
use rustix::event::PollFd;
use rustix::process::Pid;
use std::os::fd::OwnedFd;
use writes::Writes;

/// All schedulers of an order, of which at most one runs at a time.
pub(crate) struct Schedulers {
    orders: Vec<SchedulerOrder>,
    current: Option<Current>,
    goal: Goal,
    /// From the first start on.
    log: Option<Log>,
    requests: Option<Requests>,
    writes: Writes,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Reached,
    /// None runs.
    Nothing,
    /// None runs, so that the order of this number can be started.
    Room(usize),
    /// The one that was started is enabled.
    Enabled,
}

impl Schedulers {
    /// None of them runs yet.
    pub(crate) fn new(run: &Run) -> Self {
        Self {
            orders: run.schedulers.clone(),
            current: None,
            goal: if run.begin_scheduled { Goal::Room(0) } else { Goal::Reached },
            log: None,
            requests: None,
            writes: Writes::new(&run.map_writes),
        }
    }

    /// Whether something is to be reached that is not yet.
    pub(crate) fn are_under_way(&self) -> bool {
        self.goal != Goal::Reached
    }

    /// Whether one runs and is enabled.
    pub(crate) fn is_enabled(&self) -> bool {
        self.current.as_ref().is_some_and(Current::is_enabled)
    }

    /// The process of the one that runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.running().and_then(Running::pid)
    }

    /// The program's end of a socket for its requests.
    pub(crate) fn accept_requests(&mut self) -> Result<OwnedFd> {
        let (requests, theirs) = Requests::pair()?;
        self.requests = Some(requests);
        Ok(theirs)
    }

    /// The program has been started; the time of map writes runs.
    pub(crate) fn begin_writes(&mut self) {
        self.writes.begin(now_ns());
    }

    /// What tells that there is something to do.
    pub(crate) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(running) = self.running() {
            running.watch(fds);
        }
        if let Some(log) = &self.log {
            log.watch(fds);
        }
        if let Some(requests) = self.requests.as_ref().filter(|_| !self.are_under_way()) {
            requests.watch(fds);
        }
    }

    /// How long to wait at most before the next [`Schedulers::turn`].
    pub(crate) fn look_every_ns(&self) -> u64 {
        if self.are_under_way() && self.current.is_none() {
            return 0;
        }
        let until_write_ns = self.writes.due_ns().map_or(u64::MAX, |due_ns| due_ns.saturating_sub(now_ns()));
        self.running().map_or(u64::MAX, Running::look_every_ns).min(until_write_ns)
    }

    /// Does what there is to do. `ended` are processes that have ended.
    pub(crate) fn turn(&mut self, ended: &[(Pid, ExitStatus)], link: &mut Link, control: &Control) -> Result<()> {
        self.attend(ended, link, control)?;
        self.serve(link, control)?;
        self.pursue(link)?;
        self.write_due(link, control)
    }

    /// The program has ended: it asks for nothing more, and what runs is stopped.
    pub(crate) fn end(&mut self, link: &mut Link, control: &Control) -> Result<()> {
        self.requests = None;
        for late in self.writes.end() {
            let (target, after_ms) = (late.write.target, late.after_ns / 1_000_000);
            control.fault(&format!("{target:?} was not written: the test ended before {after_ms} ms had passed"));
        }
        self.clear(Goal::Nothing, link, control)
    }

    /// Tells what is left to tell of the kernel's log.
    pub(crate) fn finish(&mut self, link: &mut Link) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        log.forward(link)?;
        log.tell_missed(link)
    }

    /// Lets `dump` print on the console, and keeps that out of what is told of the kernel's log.
    pub(crate) fn keep_apart(&mut self, link: &mut Link, dump: impl FnOnce()) -> Result<()> {
        if let Some(log) = &mut self.log {
            log.forward(link)?;
        }
        dump();
        self.log.as_mut().map_or(Ok(()), |log| log.forward_behind_dump(link))
    }

    fn running(&self) -> Option<&Running> {
        self.current.as_ref().and_then(Current::running)
    }

    /// Sees to the kernel's log, and to the one that runs.
    fn attend(&mut self, ended: &[(Pid, ExitStatus)], link: &mut Link, control: &Control) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let kernel_spoke = log.forward(link)?;
        let Some(Current { name, kind: Kind::Program(running) }) = &mut self.current else { return Ok(()) };
        running.turn(ended, kernel_spoke, log, link, control)?;
        let Some(end) = running.end() else { return Ok(()) };
        let failure = match self.goal {
            Goal::Reached => None,
            Goal::Nothing | Goal::Room(_) => why::not_gone(name, end),
            Goal::Enabled => Some(why::not_enabled(name, end)),
        };
        self.current = None;
        failure.into_iter().for_each(|why| self.conclude(Err(why)));
        Ok(())
    }

    /// Takes the program's next request, unless the last one is still under way.
    fn serve(&mut self, link: &mut Link, control: &Control) -> Result<()> {
        let Some(request) = self.requests.as_mut().filter(|_| self.goal == Goal::Reached).and_then(Requests::next)
        else {
            return Ok(());
        };
        match request {
            SchedulerRequest::Stop => self.clear(Goal::Nothing, link, control)?,
            SchedulerRequest::Switch(number) if (number as usize) < self.orders.len() => {
                self.clear(Goal::Room(number as usize), link, control)?;
            }
            SchedulerRequest::Switch(number) => {
                self.conclude(Err(format!("there is no scheduler {number}, the order has {}", self.orders.len())));
            }
            SchedulerRequest::Write(write) => {
                self.conclude(self.write(&write).map_err(|error| format!("{error:#}")));
            }
        }
        Ok(())
    }

    /// Makes what runs end, on the way to `goal`.
    fn clear(&mut self, goal: Goal, link: &mut Link, control: &Control) -> Result<()> {
        self.goal = goal;
        match self.current.as_mut().map(|current| &mut current.kind) {
            Some(Kind::Program(running)) => running.ask_to_end(),
            Some(Kind::Builtin(disable)) => {
                let done = turn_off(disable, link)?;
                self.current = None;
                if let Err(error) = done {
                    control.fault(&format!("{error:#}"));
                    self.conclude(Err(format!("{error:#}")));
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Goes on towards the goal.
    fn pursue(&mut self, link: &mut Link) -> Result<()> {
        match self.goal {
            Goal::Nothing if self.current.is_none() => self.conclude(Ok(())),
            Goal::Room(number) if self.current.is_none() => self.start(number, link)?,
            _ => {}
        }
        if self.goal == Goal::Enabled && self.is_enabled() {
            self.conclude(Ok(()));
        }
        Ok(())
    }

    fn start(&mut self, number: usize, link: &mut Link) -> Result<()> {
        let order = self.orders.get(number).context("the host's order has no scheduler to begin with")?;
        if self.log.is_none() {
            real_time::rise()?;
            self.log = Some(Log::open()?);
        }
        match Current::start(order, link)? {
            Ok(current) => (self.current, self.goal) = (Some(current), Goal::Enabled),
            Err(end) => self.conclude(Err(why::not_enabled(&order.name, &end))),
        }
        Ok(())
    }

    /// The goal is reached or given up; who asked for it is answered.
    fn conclude(&mut self, result: Result<(), String>) {
        self.goal = Goal::Reached;
        let reply = match result {
            Ok(()) => SchedulerReply::Done { pid: self.pid() },
            Err(why) => SchedulerReply::Failed(why),
        };
        if let Some(requests) = self.requests.as_mut().filter(|requests| requests.is_serving()) {
            requests.answer(reply);
        }
    }

    /// Writes into a map; of several that have the name, into that of the scheduler which runs.
    fn write(&self, write: &MapWrite) -> Result<()> {
        bpf::write(write, self.pid().and_then(Pid::from_raw))
    }

    /// Makes the map writes whose time has come.
    fn write_due(&mut self, link: &mut Link, control: &Control) -> Result<()> {
        while let Some((number, write)) = self.writes.take_due(now_ns()) {
            match self.write(&write) {
                Ok(()) => tell(link, SchedulerEvent::MapWritten { number, at_ns: now_ns() })?,
                Err(error) => control.fault(&format!("{error:#}")),
            }
        }
        Ok(())
    }
}

/// Tells the host of a scheduler.
fn tell(link: &mut Link, event: SchedulerEvent) -> Result<()> {
    link.send(&GuestMessage::Scheduler(event))
}
