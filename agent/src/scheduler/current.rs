//! The one scheduler that runs.

use super::builtin;
use super::kernel;
use super::running::Running;
use super::tell;
use crate::link::Link;
use crate::mounts::make_cgroup;
use crate::now_ns;
use anyhow::Result;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd, SchedulerEvent, SchedulerOrder, SchedulerStart};

/// From its start until it is over.
pub(super) struct Current {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What it is.
pub(super) enum Kind {
    Program(Box<Running>),
    /// Part of the kernel, enabled, and how it is turned off.
    Builtin(Vec<(String, String)>),
}

impl Current {
    /// Starts it. The outer error is for the agent itself; the inner one says why it was not started, which is told.
    pub(super) fn start(order: &SchedulerOrder, link: &mut Link) -> Result<Result<Self, SchedulerEnd>> {
        tell(link, SchedulerEvent::Starting { name: order.name.clone(), at_ns: now_ns() })?;
        match Kind::start(order) {
            Ok(kind) => {
                if matches!(kind, Kind::Builtin(_)) {
                    tell(link, SchedulerEvent::Enabled { ops: String::new(), pid: None, at_ns: now_ns() })?;
                }
                Ok(Ok(Self { name: order.name.clone(), kind }))
            }
            Err(error) => {
                let end = without_process(EndCause::NotStarted(format!("{error:#}")));
                tell(link, SchedulerEvent::Ended(end.clone()))?;
                Ok(Err(end))
            }
        }
    }

    pub(super) fn is_enabled(&self) -> bool {
        match &self.kind {
            Kind::Program(running) => running.is_enabled(),
            Kind::Builtin(_) => true,
        }
    }

    /// The program, if it is one.
    pub(super) fn running(&self) -> Option<&Running> {
        match &self.kind {
            Kind::Program(running) => Some(running),
            Kind::Builtin(_) => None,
        }
    }
}

impl Kind {
    fn start(order: &SchedulerOrder) -> Result<Self> {
        if let Some(cgroup) = &order.cgroup_parent {
            make_cgroup(cgroup)?;
        }
        Ok(match &order.start {
            SchedulerStart::Program { argv, env } => Self::Program(Box::new(Running::start(argv, env, order)?)),
            SchedulerStart::Builtin { enable, disable } => {
                builtin::turn_on(enable, disable)?;
                Self::Builtin(disable.clone())
            }
        })
    }
}

/// Turns off what is in the kernel, and tells so. The inner error says what could not be written.
pub(super) fn turn_off(disable: &[(String, String)], link: &mut Link) -> Result<Result<()>> {
    let done = builtin::set(disable);
    tell(link, SchedulerEvent::Ended(without_process(EndCause::Asked)))?;
    Ok(done)
}

fn without_process(cause: EndCause) -> SchedulerEnd {
    SchedulerEnd { at_ns: now_ns(), cause, status: None, killed: false, state: kernel::state_word() }
}
