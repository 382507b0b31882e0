//! What the host's kernel is asked to do for a thread and for memory.

use super::{Part, Plan, Report};
use std::io;
use std::ptr::NonNull;

/// Above all ordinary threads and below all real-time ones of the host's own.
const PRIORITY: i32 = 1;

/// How much of each period real-time threads may have; -1: all.
const THROTTLE: &str = "/proc/sys/kernel/sched_rt_runtime_us";

/// Where a vCPU's thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    cpu: usize,
    real_time: bool,
}

/// What came of a [`Place`].
#[derive(Debug)]
pub(crate) struct Placed {
    pinned: io::Result<()>,
    real_time: Option<io::Result<()>>,
}

impl Plan {
    /// The place of each vCPU, in vCPU order; none when they have none of their own.
    pub(crate) fn places(&self) -> Vec<Place> {
        let real_time = self.may_keep_cpus().is_ok();
        self.cpus.iter().map(|&cpu| Place { cpu, real_time }).collect()
    }

    /// Books what came of the places.
    pub(crate) fn book_threads(&self, report: &mut Report, placed: Vec<Placed>) {
        let (mut pinned, mut real_time) = (Ok(()), Ok(()));
        for one in placed {
            pinned = pinned.and(one.pinned);
            real_time = real_time.and(one.real_time.unwrap_or(Ok(())));
        }
        if let Err(error) = pinned {
            report.applied.retain(|part| *part != Part::PinnedVcpus);
            report.book(Part::PinnedVcpus, Err(format!("sched_setaffinity failed: {error}")));
        }
        let real_time = self.may_keep_cpus().and(real_time.map_err(|error| {
            format!("sched_setscheduler failed: {error} (it takes CAP_SYS_NICE, or `ulimit -r` of at least {PRIORITY})")
        }));
        if real_time.is_ok() {
            report.book(Part::NoThrottling, throttling());
        }
        report.book(Part::RealTime, real_time);
    }
}

/// Puts the calling thread in its place.
pub(crate) fn run_here(place: Place) -> Placed {
    Placed { pinned: pin(place.cpu), real_time: place.real_time.then(run_in_real_time) }
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut set = vec![0_u64; cpu / 64 + 1];
    set[cpu / 64] = 1 << (cpu % 64);
    // SAFETY: the kernel reads as many bytes as it is told of, which are the vector's.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set[..]), set.as_ptr().cast()) })
}

fn run_in_real_time() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: PRIORITY };
    // SAFETY: the parameters outlive the call, which only reads them.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) })
}

fn throttling() -> Result<(), String> {
    match std::fs::read_to_string(THROTTLE).unwrap_or_default().trim() {
        "" | "-1" => Ok(()),
        limit => Err(format!(
            "the host's kernel may take the rest of each second from a vCPU that had {limit} us of it: `sysctl \
             kernel.sched_rt_runtime_us=-1` would let it run on"
        )),
    }
}

/// Lets memory that nobody has touched come from this node alone (mbind(2)).
///
/// # Errors
/// What the system call returned.
pub(crate) fn bind_memory(start: NonNull<u8>, bytes: usize, node: usize) -> io::Result<()> {
    let mut nodes = vec![0_u64; node / 64 + 1];
    nodes[node / 64] = 1 << (node % 64);
    // The kernel takes one bit less than it is told of.
    let bits = nodes.len() * 64 + 1;
    // SAFETY: the range is mapped by the caller; a policy changes no content. The kernel reads the mask only.
    let done =
        unsafe { libc::syscall(libc::SYS_mbind, start.as_ptr(), bytes, libc::MPOL_BIND, nodes.as_ptr(), bits, 0) };
    check(done as i32)
}

fn check(done: i32) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_where_it_was_put() {
        for cpu in crate::host_cpus::usable() {
            std::thread::spawn(move || {
                run_here(Place { cpu, real_time: false }).pinned.unwrap();
                assert_eq!(crate::host_cpus::affinity(0).unwrap(), [cpu]);
            })
            .join()
            .unwrap();
        }
        assert!(pin(100_000).is_err());
    }
}
