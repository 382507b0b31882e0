//! The CPUs that this process may use.

use std::io;

/// More than any host has; the kernel refuses a set that is too small for all of its CPUs.
const MAX_HOST_CPUS: usize = 64 << 10;

/// The CPUs that this process can keep busy, by the host's numbers: those of its affinity, as many as its cgroup's quota
/// allows. At least one.
pub(crate) fn usable() -> Vec<usize> {
    let mut cpus = affinity(0).unwrap_or_else(|_| vec![0]);
    // It knows the quotas of both versions of cgroups.
    cpus.truncate(std::thread::available_parallelism().map_or(1, usize::from));
    cpus
}

/// The CPUs on which a thread may run (sched_getaffinity(2)); 0: the calling one.
///
/// # Errors
/// What the system call returned.
pub(crate) fn affinity(tid: i32) -> io::Result<Vec<usize>> {
    let mut set = [0_u64; MAX_HOST_CPUS / 64];
    // SAFETY: the kernel writes at most the bytes that it is told of.
    let done = unsafe { libc::sched_getaffinity(tid, size_of_val(&set), set.as_mut_ptr().cast()) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..MAX_HOST_CPUS).filter(|cpu| set[cpu / 64] & 1 << (cpu % 64) != 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_may_use_some() {
        let usable = usable();
        assert!(!usable.is_empty() && usable.is_sorted(), "{usable:?}");
        assert!(usable.iter().all(|cpu| affinity(0).unwrap().contains(cpu)));
    }
}
