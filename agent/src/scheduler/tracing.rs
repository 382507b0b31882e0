//! A scheduler that is traced while it loads: what the tracer tells goes to the host, and it ends before anything else goes
//! on.

use super::kernel::State;
use super::tell;
use crate::control::Control;
use crate::link::Link;
use crate::loader::{News, Tracer};
use anyhow::Result;
use ktstr_wire::scheduler::SchedulerEvent;
use rustix::event::{PollFd, PollFlags};

/// Empty for a scheduler that is not traced.
pub(super) struct Tracing {
    tracer: Option<Tracer>,
    complaint: Option<String>,
    not_started: Option<String>,
}

impl Tracing {
    pub(super) fn new(tracer: Option<Tracer>) -> Self {
        Self { tracer, complaint: None, not_started: None }
    }

    /// Whether something of the scheduler is still traced.
    pub(super) fn goes_on(&self) -> bool {
        self.tracer.is_some()
    }

    /// What tells that the tracer has something to tell.
    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.extend(self.tracer.iter().map(|tracer| PollFd::from_borrowed_fd(tracer.as_fd(), PollFlags::IN)));
    }

    /// Forwards what has been told.
    pub(super) fn forward(&mut self, link: &mut Link, control: &Control) -> Result<()> {
        let Some(tracer) = &mut self.tracer else { return Ok(()) };
        let all = match tracer.news() {
            Ok(all) => all,
            Err(error) => {
                control.fault(&format!("{error:#}"));
                self.tracer = None;
                return Ok(());
            }
        };
        if tracer.is_released() {
            self.complaint = tracer.complaint();
            self.tracer = None;
        }
        for news in all {
            match news {
                News::Program(program) => tell(link, SchedulerEvent::Program(program))?,
                News::Log(piece) => tell(link, SchedulerEvent::ProgramLog(piece))?,
                News::NotStarted(why) => self.not_started = Some(why),
                News::Trouble(why) => control.fault(&why),
                News::WatchdogSet | News::Released => {}
            }
        }
        Ok(())
    }

    /// Whether nothing goes on before the tracing has ended. Once the kernel has enabled the scheduler, it is asked to.
    pub(super) fn must_end_first(&mut self, state: State) -> bool {
        let is_enabled = state == State::Enabled;
        if is_enabled && let Some(tracer) = &mut self.tracer {
            tracer.release();
        }
        is_enabled && self.goes_on()
    }

    /// The kernel has enabled the scheduler: tells the host what could not be done as it was ordered.
    pub(super) fn complain(&mut self, control: &Control) {
        if let Some(complaint) = self.complaint.take() {
            control.fault(&complaint);
        }
    }

    /// Why the program could not be started, if it could not.
    pub(super) fn not_started(&self) -> Option<String> {
        self.not_started.clone()
    }
}
