//! How a thread is scheduled: set, and read back, because the kernel may take less than it was asked for.

use crate::spec::SchedPolicy;
use ktstr_wire::CpuSet;
use std::io;
use std::time::Duration;

/// `SCHED_EXT` (include/uapi/linux/sched.h).
const SCHED_EXT: u32 = 7;
/// CPUs in a mask; at least as many as a kernel can have.
const MASK_BYTES: usize = 1024;

/// Sets the affinity (sched_setaffinity(2)).
pub(crate) fn set_affinity(tid: i32, cpus: &CpuSet) -> io::Result<()> {
    let mut mask = [0u8; MASK_BYTES];
    for cpu in cpus.iter() {
        let byte = mask.get_mut(cpu as usize / 8).ok_or(io::ErrorKind::InvalidInput)?;
        *byte |= 1 << (cpu % 8);
    }
    // SAFETY: a mask of this size; the kernel takes any alignment.
    done(unsafe { libc::sched_setaffinity(tid, MASK_BYTES, mask.as_ptr().cast()) })
}

/// The affinity: what was asked for, as far as the cpuset has it.
pub(super) fn affinity(tid: i32) -> io::Result<CpuSet> {
    let mut mask = [0u8; MASK_BYTES];
    // SAFETY: room for a mask of this size.
    done(unsafe { libc::sched_getaffinity(tid, MASK_BYTES, mask.as_mut_ptr().cast()) })?;
    let cpus = mask
        .iter()
        .enumerate()
        .flat_map(|(at, bits)| (0..8).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| at as u32 * 8 + bit));
    Ok(cpus.collect())
}

/// Sets policy and nice value (sched_setattr(2), setpriority(2)).
pub(crate) fn set_policy(tid: i32, policy: SchedPolicy, nice: i32) -> io::Result<()> {
    let attributes = encode(policy, nice);
    // SAFETY: a live structure that tells its size.
    done(unsafe { libc::syscall(libc::SYS_sched_setattr, tid, &raw const attributes, 0) } as i32)?;
    // SAFETY: no pointers.
    done(unsafe { libc::setpriority(libc::PRIO_PROCESS, tid as libc::id_t, nice) })
}

/// Policy and nice value.
pub(super) fn policy(tid: i32) -> io::Result<(SchedPolicy, i32)> {
    let mut attributes = encode(SchedPolicy::Normal, 0);
    let size = size_of::<libc::sched_attr>();
    // SAFETY: room for a structure of this size.
    done(unsafe { libc::syscall(libc::SYS_sched_getattr, tid, &raw mut attributes, size, 0) } as i32)?;
    // SAFETY: no pointers. It succeeds where the call above did; its result may be -1.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, tid as libc::id_t) };
    Ok((decode(&attributes)?, nice))
}

fn encode(policy: SchedPolicy, nice: i32) -> libc::sched_attr {
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let mut attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: 0,
        sched_deadline: 0,
        sched_period: 0,
    };
    attributes.sched_policy = match policy {
        SchedPolicy::Normal => libc::SCHED_OTHER as u32,
        SchedPolicy::Batch => libc::SCHED_BATCH as u32,
        SchedPolicy::Idle => libc::SCHED_IDLE as u32,
        SchedPolicy::Ext => SCHED_EXT,
        SchedPolicy::Fifo(priority) => {
            attributes.sched_priority = priority;
            libc::SCHED_FIFO as u32
        }
        SchedPolicy::RoundRobin(priority) => {
            attributes.sched_priority = priority;
            libc::SCHED_RR as u32
        }
        SchedPolicy::Deadline { runtime, deadline, period } => {
            attributes.sched_runtime = ns(runtime);
            attributes.sched_deadline = ns(deadline);
            attributes.sched_period = ns(period);
            // Without it, it could not fork.
            attributes.sched_flags = libc::SCHED_FLAG_RESET_ON_FORK as u64;
            libc::SCHED_DEADLINE as u32
        }
    };
    attributes
}

fn decode(attributes: &libc::sched_attr) -> io::Result<SchedPolicy> {
    let other = attributes.sched_policy;
    Ok(match other as i32 {
        libc::SCHED_OTHER => SchedPolicy::Normal,
        libc::SCHED_BATCH => SchedPolicy::Batch,
        libc::SCHED_IDLE => SchedPolicy::Idle,
        libc::SCHED_FIFO => SchedPolicy::Fifo(attributes.sched_priority),
        libc::SCHED_RR => SchedPolicy::RoundRobin(attributes.sched_priority),
        libc::SCHED_DEADLINE => SchedPolicy::Deadline {
            runtime: Duration::from_nanos(attributes.sched_runtime),
            deadline: Duration::from_nanos(attributes.sched_deadline),
            period: Duration::from_nanos(attributes.sched_period),
        },
        _ if other == SCHED_EXT => SchedPolicy::Ext,
        _ => return Err(io::Error::other(format!("the kernel says policy {other}, which is unknown here"))),
    })
}

/// What to do about a policy that the kernel refuses (sched_setattr(2)).
pub(super) fn advice(policy: SchedPolicy, error: &io::Error) -> &'static str {
    match (policy, error.raw_os_error()) {
        (SchedPolicy::Deadline { .. }, Some(libc::EBUSY)) => {
            "all SCHED_DEADLINE tasks together would take too much of the CPUs: ask for less runtime in each period"
        }
        (SchedPolicy::Deadline { .. }, Some(libc::EPERM)) => {
            "it needs CAP_SYS_NICE, and a worker whose affinity and cpuset are all CPUs: leave both away"
        }
        (SchedPolicy::Deadline { .. }, Some(libc::EINVAL)) => {
            "runtime must not be longer than deadline, nor deadline than period, and all at least 1024 ns"
        }
        (SchedPolicy::Ext, Some(libc::EINVAL)) => "the kernel needs CONFIG_SCHED_CLASS_EXT",
        (SchedPolicy::Fifo(_) | SchedPolicy::RoundRobin(_), Some(libc::EINVAL)) => "priorities are from 1 to 99",
        (_, Some(libc::EPERM | libc::EACCES)) => "it needs CAP_SYS_NICE; run as root",
        _ => "see sched_setattr(2)",
    }
}

fn done(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_survive_the_way() {
        let ms = Duration::from_millis;
        for policy in [
            SchedPolicy::Normal,
            SchedPolicy::Batch,
            SchedPolicy::Idle,
            SchedPolicy::Fifo(7),
            SchedPolicy::RoundRobin(99),
            SchedPolicy::Ext,
            SchedPolicy::Deadline { runtime: ms(1), deadline: ms(5), period: ms(10) },
        ] {
            assert_eq!(decode(&encode(policy, 0)).unwrap(), policy);
        }
    }

    #[test]
    fn what_is_set_is_read_back() {
        // A thread of its own, whose changes end with it.
        let checks = std::thread::spawn(|| {
            let before = affinity(0).unwrap();
            let one: CpuSet = before.iter().take(1).collect();
            set_affinity(0, &one).unwrap();
            assert_eq!(affinity(0).unwrap(), one);
            assert!(set_affinity(0, &CpuSet::default()).is_err());
            set_policy(0, SchedPolicy::Batch, 5).unwrap();
            assert_eq!(policy(0).unwrap(), (SchedPolicy::Batch, 5));
            set_policy(0, SchedPolicy::Idle, 7).unwrap();
            assert_eq!(policy(0).unwrap(), (SchedPolicy::Idle, 7));
            assert_eq!(set_policy(0, SchedPolicy::Fifo(100), 0).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        });
        checks.join().unwrap();
    }
}
