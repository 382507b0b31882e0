//! Runs a thread of an rt-app file.

use super::sync::{arrive, broadcast, lock, signal, unlock, wait_with};
use super::system::{Memory, done, sleep_until, yield_cpu};
use crate::clock::thread_cpu_ns;
use crate::meter::Meter;
use crate::rt_app::{Event, RtApp, Thread};
use crate::spawn::attributes::{set_affinity, set_policy};
use crate::spec::SchedPolicy;
use crate::team::Team;
use ktstr_wire::CpuSet;
use std::hint::black_box;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Steps of computation between two looks at the clock: a few microseconds.
const STEPS: u64 = 256;

/// Words of memory that are written between two looks at the clock.
const WORDS_AT_ONCE: usize = 512;

/// One thread, while it runs.
struct Runner<'a, 'b> {
    meter: &'a mut Meter<'b>,
    team: &'a Team<'a>,
    /// As it was set last.
    policy: Option<(SchedPolicy, i32)>,
    /// When its first phase began, from which its timers count.
    began_ns: u64,
    buffer: Memory,
    buffer_at: usize,
    /// It ends with the process.
    device: RawFd,
}

pub(super) fn run(meter: &mut Meter<'_>, team: &Team<'_>, app: &RtApp) -> io::Result<()> {
    let thread = &app.threads[team.index];
    if let Some((policy, nice)) = thread.policy {
        set_policy(0, policy, nice)?;
    }
    let began_ns = meter.last_ns() + thread.delay_ns;
    if thread.delay_ns > 0 {
        meter.wait_until(began_ns, || sleep_until(began_ns));
    }
    let (buffer, device) = (Memory::new(app.mem_buffer_bytes)?, open(&app.io_device)?);
    let mut runner = Runner { meter, team, policy: thread.policy, began_ns, buffer, buffer_at: 0, device };
    runner.all_loops(thread)?;
    // Its loops are over.
    while meter.goes_on() {
        // SAFETY: no arguments; a signal ends it.
        meter.wait(|| unsafe { libc::pause() });
    }
    Ok(())
}

impl Runner<'_, '_> {
    fn all_loops(&mut self, thread: &Thread) -> io::Result<()> {
        let mut done = 0;
        // Those of the last phase; the thread's own are set where it begins.
        let mut cpus: Option<&CpuSet> = None;
        while self.meter.goes_on() && thread.loops.is_none_or(|loops| done < loops) {
            for phase in &thread.phases {
                let wanted = phase.cpus.as_ref().or(thread.cpus.as_ref());
                if wanted != cpus
                    && let Some(wanted) = wanted
                {
                    set_affinity(0, wanted)?;
                }
                cpus = wanted;
                if let Some((policy, nice)) = phase.policy.filter(|wanted| self.policy != Some(*wanted)) {
                    set_policy(0, policy, nice)?;
                    self.policy = Some((policy, nice));
                }
                let mut done = 0;
                while self.meter.goes_on() && phase.loops.is_none_or(|loops| done < loops) {
                    for event in &phase.events {
                        if !self.meter.goes_on() {
                            return Ok(());
                        }
                        self.event(*event)?;
                    }
                    self.meter.iteration();
                    done += 1;
                }
            }
            done += 1;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        let (team, meter) = (self.team, &mut *self.meter);
        match event {
            Event::Run { ns } => {
                let end_ns = thread_cpu_ns() + ns;
                compute_until(meter, |_| thread_cpu_ns() >= end_ns);
            }
            Event::Runtime { ns } => {
                let end_ns = meter.last_ns() + ns;
                compute_until(meter, |meter| meter.last_ns() >= end_ns);
            }
            Event::Sleep { ns } => {
                let due_ns = meter.last_ns() + ns;
                meter.wait_until(due_ns, || sleep_until(due_ns));
            }
            Event::Timer { timer, period_ns, absolute } => self.timer(timer, period_ns, absolute),
            Event::Lock { mutex } => lock(meter, team.word(mutex)),
            Event::Unlock { mutex } => unlock(team.word(mutex)),
            Event::Wait { condition, mutex } => wait_with(meter, team.word(condition), team.word(mutex)),
            Event::Signal { condition } => signal(team.word(condition)),
            Event::Broadcast { condition } => broadcast(team.word(condition)),
            Event::Barrier { barrier, users } => arrive(meter, team.word(barrier), users),
            Event::Memory { bytes } => self.write_memory(bytes),
            Event::Io { bytes } => return self.write_device(bytes),
            Event::Yield => yield_cpu(),
        }
        Ok(())
    }

    /// A timer's word has when it was due last. One that is due already does not sleep, and a relative one then counts
    /// from now on.
    fn timer(&mut self, timer: usize, period_ns: u64, absolute: bool) {
        let last_due_ns = &self.team.word(timer).value;
        let last_ns = match last_due_ns.load(Acquire) {
            0 => self.began_ns,
            last_ns => last_ns,
        };
        let due_ns = last_ns + period_ns;
        let late = due_ns <= self.meter.last_ns();
        last_due_ns.store(if late && !absolute { self.meter.last_ns() } else { due_ns }, Release);
        if !late {
            self.meter.wait_until(due_ns, || sleep_until(due_ns));
        }
    }

    fn write_memory(&mut self, bytes: u64) {
        let (words, mut left) = (self.buffer.words(), bytes.div_ceil(8));
        while left > 0 && self.meter.goes_on() {
            let from = self.buffer_at % words.len();
            let count = left.min((words.len() - from).min(WORDS_AT_ONCE) as u64) as usize;
            let piece = &mut words[from..from + count];
            self.meter.unit_of(|| piece.iter_mut().for_each(|word| *word = black_box(left)));
            (self.buffer_at, left) = (from + count, left - count as u64);
        }
    }

    fn write_device(&mut self, bytes: u64) -> io::Result<()> {
        let (words, mut left) = (self.buffer.words(), bytes);
        while left > 0 && self.meter.goes_on() {
            let count = left.min(words.len() as u64 * 8) as usize;
            // SAFETY: a live buffer of at least this size.
            let written = unsafe { libc::write(self.device, words.as_ptr().cast(), count) };
            if written < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            left -= (done(written as i64)? as u64).min(left);
            self.meter.unit_of(|| {});
        }
        Ok(())
    }
}

fn compute_until(meter: &mut Meter<'_>, enough: impl Fn(&Meter<'_>) -> bool) {
    while meter.goes_on() && !enough(meter) {
        meter.unit_of(|| {
            black_box((0..STEPS).fold(1_u64, |state, step| black_box(state.wrapping_mul(31).wrapping_add(step))));
        });
    }
}

fn open(path: &str) -> io::Result<RawFd> {
    let mut text = [0_u8; 256];
    text[..path.len()].copy_from_slice(path.as_bytes());
    // SAFETY: a text that ends in zero: paths are shorter.
    let file = unsafe { libc::open(text.as_ptr().cast(), libc::O_WRONLY | libc::O_CLOEXEC) };
    Ok(done(file.into())? as RawFd)
}
