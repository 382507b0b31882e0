//! The kernel's log, forwarded.

use super::kmsg::{Kmsg, Record};
use super::quota::Quota;
use super::tell;
use crate::link::Link;
use anyhow::Result;
use ktstr_wire::scheduler::SchedulerEvent;
use rustix::event::{PollFd, PollFlags};

/// What begins a line of sched_ext's own (kernel/sched/ext.c).
const OURS: &str = "sched_ext: ";

/// From its opening on.
pub(super) struct Log {
    kmsg: Kmsg,
    quota: Quota,
}

impl Log {
    pub(super) fn open() -> Result<Self> {
        Ok(Self { kmsg: Kmsg::open()?, quota: Quota::default() })
    }

    /// What tells that there is more of it.
    pub(super) fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.kmsg, PollFlags::IN));
    }

    /// Forwards what is there now. Tells whether sched_ext said something.
    pub(super) fn forward(&mut self, link: &mut Link) -> Result<bool> {
        let mut spoke = false;
        while let Some(record) = self.kmsg.next()? {
            spoke |= record.text.starts_with(OURS);
            self.forward_one(&record, link)?;
        }
        Ok(spoke)
    }

    /// The same behind a dump of the kernel's tasks, which the host has from the console.
    pub(super) fn forward_behind_dump(&mut self, link: &mut Link) -> Result<()> {
        while let Some(record) = self.kmsg.next()? {
            if record.text.starts_with(OURS) {
                self.forward_one(&record, link)?;
            }
        }
        Ok(())
    }

    fn forward_one(&mut self, record: &Record, link: &mut Link) -> Result<()> {
        for line in record.text.lines() {
            if self.quota.takes(record.level, line) {
                let line = format!("{}: {line}", record.level);
                tell(link, SchedulerEvent::Kernel { at_ns: record.at_ns, line })?;
            }
        }
        Ok(())
    }

    /// Tells how much was not forwarded since this was last told, if anything.
    pub(super) fn tell_missed(&mut self, link: &mut Link) -> Result<()> {
        let (left_out, overwritten) = (self.quota.take_left_out(), self.kmsg.take_overwritten());
        if left_out + overwritten == 0 {
            return Ok(());
        }
        tell(link, SchedulerEvent::KernelMissed { left_out, overwritten })
    }
}
