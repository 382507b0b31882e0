//! All threads and processes of the scheduler, from its first instruction until it is let go.
//!
//! A call that is changed is made to its end before anything else is looked at: what other threads do meanwhile waits at
//! their next system call.

use super::attr::{Attr, MAP_UPDATE_ELEM, PROG_LOAD};
use super::call::{Call, Halt};
use super::load::{self, Failed};
use super::news::{News, Teller};
use super::ops::Watchdog;
use super::ptrace::{Entry, Event, Tracee, wait_any};
use super::{Asked, gate, memory};
use anyhow::{Context, Result};
use rustix::process::Pid;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

struct Tracer {
    asked: Asked,
    watchdog: Option<Watchdog>,
    teller: Teller,
    tracees: HashSet<Tracee>,
    failed: Failed,
}

/// Traces a process that waits at its gate, until `release` has a byte or ends, or all of its processes have.
pub(super) fn trace(pid: Pid, asked: Asked, mut gate: UnixStream, mut teller: Teller, release: OwnedFd) -> Result<()> {
    let watchdog = asked.watchdog_timeout_ms.map(Watchdog::new).transpose().unwrap_or_else(|error| {
        // The agent hears of it as well once the scheduler is enabled without.
        let _ = teller.tell(&News::Trouble(format!("the watchdog cannot be set: {error:#}")));
        None
    });
    let doorbell = doorbell(&teller, release)?;
    let tracee = Tracee::seize(pid).context("cannot trace the scheduler")?;
    gate.write_all(&[gate::GO]).context("cannot let the scheduler go on")?;
    let mut tracer = Tracer { asked, watchdog, teller, tracees: [tracee].into(), failed: None };
    let outcome = tracer.attend(doorbell, tracee, gate);
    if let Err(error) = &outcome {
        // With the tracer all that it traces dies.
        let _ = tracer.teller.tell(&News::Trouble(format!("the scheduler could not be traced: {error:#}")));
        return outcome;
    }
    tracer.teller.tell(&News::Released)
}

/// A process that ends when the agent has the scheduler let go: so there is one thing only to wait for, wait(2).
fn doorbell(teller: &Teller, release: OwnedFd) -> Result<Pid> {
    let (pipe, teller) = (release.as_raw_fd(), teller.as_fd().as_raw_fd());
    // SAFETY: the child makes system calls only, until it exits.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: descriptors that are open, and a local that is written to.
            unsafe {
                // Whoever reads what the teller tells waits for its last writer.
                libc::close(teller);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let mut byte = 0u8;
                libc::read(pipe, (&raw mut byte).cast(), 1);
                libc::_exit(0)
            }
        }
        child => {
            Pid::from_raw(child.max(0)).ok_or_else(std::io::Error::last_os_error).context("cannot fork the tracer")
        }
    }
}

impl Tracer {
    fn attend(&mut self, doorbell: Pid, first: Tracee, mut gate: UnixStream) -> Result<()> {
        let mut is_started = false;
        while !self.tracees.is_empty() {
            let (pid, status) = wait_any().context("cannot wait for the scheduler")?;
            if pid == doorbell {
                return self.let_go();
            }
            let (tracee, event) = (Tracee(pid), Event::of(status));
            is_started |= event == Event::Exec && tracee == first;
            if event == Event::Gone && tracee == first && !is_started {
                let mut why = String::new();
                gate.read_to_string(&mut why).context("cannot read why the scheduler was not started")?;
                self.teller.tell(&News::NotStarted(why))?;
            }
            match self.handle(tracee, event) {
                Ok(()) => {}
                Err(Halt::Gone) => _ = self.tracees.remove(&tracee),
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        rustix::process::kill_process(doorbell, rustix::process::Signal::KILL).context("cannot end the doorbell")
    }

    fn handle(&mut self, tracee: Tracee, event: Event) -> Result<(), Halt> {
        if event == Event::Gone {
            return Err(Halt::Gone);
        }
        self.tracees.insert(tracee);
        match event {
            Event::Gone => {}
            Event::Signal(signal) => tracee.resume(signal)?,
            Event::JobStop => tracee.stay_stopped()?,
            Event::Trap => tracee.resume(0)?,
            Event::Child => {
                self.tracees.extend(tracee.message()?.map(Tracee));
                tracee.resume(0)?;
            }
            Event::Exec => {
                // A thread that does it takes the process's number, and the others are gone.
                let before = tracee.message()?.map(Tracee).filter(|before| *before != tracee);
                before.inspect(|before| _ = self.tracees.remove(before));
                tracee.resume(0)?;
            }
            Event::Syscall => {
                if let Some(entry) = tracee.entry()?.filter(|entry| entry.number == libc::SYS_bpf as u64) {
                    self.bpf(tracee, entry)?;
                }
                tracee.resume(0)?;
            }
        }
        Ok(())
    }

    /// A thread is about to call bpf(2).
    fn bpf(&mut self, tracee: Tracee, entry: Entry) -> Result<(), Halt> {
        let [command, address, size, ..] = entry.args;
        let Some(mut attr) = Attr::of_size(size) else { return Ok(()) };
        if ![MAP_UPDATE_ELEM, PROG_LOAD].contains(&command)
            || memory::read(tracee.0, address, attr.bytes_mut()).is_err()
        {
            return Ok(());
        }
        if command == PROG_LOAD && self.asked.log_level != 0 && load::is_of_interest(&attr) {
            let call = Call::begin(tracee, entry)?;
            return load::load(call, &attr, self.asked.log_level, &mut self.failed, &mut self.teller);
        }
        if command == MAP_UPDATE_ELEM
            && let Some(watchdog) = &self.watchdog
            && let Some(map) = watchdog.concerns(tracee, &attr)
        {
            return watchdog.update(Call::begin(tracee, entry)?, &attr, &map, &mut self.teller);
        }
        Ok(())
    }

    /// Traces nothing any more. Each thread stops once for that: what it waits for in the kernel is started anew, but for a
    /// few calls (epoll_wait for one), which return `EINTR` (signal(7)).
    fn let_go(&mut self) -> Result<()> {
        for tracee in &self.tracees {
            // One that fails is gone, or stopped already; either way wait(2) will tell.
            let _ = tracee.interrupt();
        }
        while !self.tracees.is_empty() {
            let (pid, status) = wait_any().context("cannot wait for the scheduler")?;
            let (tracee, event) = (Tracee(pid), Event::of(status));
            if event == Event::Child
                && let Ok(Some(child)) = tracee.message()
            {
                self.tracees.insert(Tracee(child));
            }
            if event != Event::Gone {
                let signal = if let Event::Signal(signal) = event { signal } else { 0 };
                // One that has been killed cannot be let go, and need not be.
                let _ = tracee.detach(signal);
            }
            self.tracees.remove(&tracee);
        }
        Ok(())
    }
}
