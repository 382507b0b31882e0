//! The thread that runs a scenario does so on time, whatever is scheduled how beside it.

use std::io;
use std::sync::OnceLock;
use std::time::Instant;

/// A long piece of work in parts, after each of which it goes to the next CPU: this thread would keep others from one CPU all
/// the time otherwise, and that would be taken for the scheduler's fault. The kernel leaves a real-time thread where it is,
/// even beside CPUs that idle. Where there is no other CPU, others have it for as long as the part took.
pub(super) struct Turns {
    began: Instant,
}

impl Turns {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// A part is done.
    pub(super) fn next(&mut self) {
        if !move_on() {
            std::thread::sleep(self.began.elapsed());
        }
        self.began = Instant::now();
    }
}

/// Does one part of a long piece of work.
pub(super) fn in_turns<T>(part: impl FnOnce() -> T) -> T {
    let mut turns = Turns::begin();
    let done = part();
    turns.next();
    done
}

/// The CPU that this thread is on, where the kernel leaves it while its priority is real-time.
pub(super) fn this_cpu() -> u32 {
    // SAFETY: no arguments.
    let here = unsafe { libc::sched_getcpu() };
    u32::try_from(here).unwrap_or_default()
}

/// Goes to the next CPU that is online, and may use all of them as before; whether there is another one.
fn move_on() -> bool {
    let here = this_cpu() as usize;
    let moved = (here + 1..there_are()).chain(0..here).any(|cpu| Mask::of(cpu).set().is_ok());
    let _ = Mask::ALL.set();
    moved
}

/// How many CPUs there are, those that are offline included.
fn there_are() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        // SAFETY: no pointers.
        let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_CONF) };
        usize::try_from(count).map_or(0, |count| count.min(CPUS))
    })
}

/// CPUs in a mask; at least as many as a kernel can have.
const CPUS: usize = 8192;

/// CPUs that a thread may use (sched_setaffinity(2)).
#[derive(Debug, Clone, Copy)]
struct Mask([u8; CPUS / 8]);

impl Mask {
    const ALL: Self = Self([0xff; CPUS / 8]);

    fn of(cpu: usize) -> Self {
        let mut mask = Self([0; CPUS / 8]);
        mask.0[cpu / 8] |= 1 << (cpu % 8);
        mask
    }

    /// Those of the calling thread.
    fn get() -> io::Result<Self> {
        let mut mask = Self([0; CPUS / 8]);
        // SAFETY: room for a mask of this size; the kernel takes any alignment.
        check(unsafe { libc::sched_getaffinity(0, CPUS / 8, mask.0.as_mut_ptr().cast()) })?;
        Ok(mask)
    }

    /// Gives them to the calling thread, as far as they are there.
    fn set(&self) -> io::Result<()> {
        // SAFETY: a mask of this size; the kernel takes any alignment.
        check(unsafe { libc::sched_setaffinity(0, CPUS / 8, self.0.as_ptr().cast()) }).map(drop)
    }
}

/// What the thread was before, and becomes again when this value is dropped.
#[derive(Debug)]
pub(super) struct OnTime {
    policy: i32,
    param: libc::sched_param,
    cpus: Mask,
}

impl OnTime {
    /// Gives the calling thread the highest real-time priority, so that its ops come when they should and it is no load
    /// of the scheduler under test. What it forks is ordinary again (sched(7), `SCHED_RESET_ON_FORK`).
    pub(super) fn begin() -> io::Result<Self> {
        let mut param = libc::sched_param { sched_priority: 0 };
        // SAFETY: no pointers.
        let policy = check(unsafe { libc::sched_getscheduler(0) })?;
        // SAFETY: a live local.
        check(unsafe { libc::sched_getparam(0, &raw mut param) })?;
        // SAFETY: no pointers.
        let highest = check(unsafe { libc::sched_get_priority_max(libc::SCHED_FIFO) })?;
        set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, libc::sched_param { sched_priority: highest })?;
        Ok(Self { policy, param, cpus: Mask::get()? })
    }
}

impl Drop for OnTime {
    fn drop(&mut self) {
        if let Err(error) = set(self.policy, self.param).and_then(|()| self.cpus.set()) {
            eprintln!("cannot give the scenario's thread its former policy and CPUs: {error}");
        }
    }
}

fn set(policy: i32, param: libc::sched_param) -> io::Result<()> {
    // SAFETY: a live local.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const param) }).map(drop)
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_leave_a_thread_its_cpus() {
        // A thread of its own, whose changes end with it.
        let checks = std::thread::spawn(|| {
            Mask::ALL.set().unwrap();
            let before = Mask::get().unwrap();
            assert_eq!(in_turns(|| 7), 7);
            assert_eq!(Mask::get().unwrap().0, before.0);
            assert!(Mask([0; CPUS / 8]).set().is_err());
        });
        checks.join().unwrap();
    }
}
