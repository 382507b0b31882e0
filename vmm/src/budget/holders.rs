//! Who holds the host's CPUs, by what the kernel tells of locks (proc_locks(5)).

use super::folder::Folder;
use std::collections::BTreeMap;
use std::fmt;

/// Processes that hold CPUs, and how many each.
#[derive(Debug)]
pub(super) struct Holders(BTreeMap<u32, usize>);

impl Holders {
    /// The holders of these CPUs, as far as this process may see them.
    pub(super) fn find(folder: &Folder, cpus: &[usize]) -> Self {
        let inodes: Vec<u64> = cpus.iter().filter_map(|cpu| folder.inode(*cpu)).collect();
        let mut counts = BTreeMap::new();
        for pid in pids(&std::fs::read_to_string("/proc/locks").unwrap_or_default(), &inodes) {
            *counts.entry(pid).or_insert(0) += 1;
        }
        Self(counts)
    }

    /// Whether one of them is the parent of this process, or its parent, and so on.
    pub(super) fn has_ancestor(&self) -> bool {
        !self.0.is_empty() && ancestors(std::process::id()).any(|pid| self.0.contains_key(&pid))
    }
}

/// The holders of the locks on these inodes. The device is not compared: on an overlay the list has that of the layer.
fn pids(locks: &str, inodes: &[u64]) -> Vec<u32> {
    let of_line = |line: &str| {
        // "1: FLOCK  ADVISORY  WRITE 26039 fe:00:10010672 0 EOF"; one who waits has "->" after the number.
        let mut words = line.split_ascii_whitespace().skip(1);
        let is_flock = words.next()? == "FLOCK";
        let pid = words.nth(2)?.parse().ok()?;
        let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
        (is_flock && inodes.contains(&inode)).then_some(pid)
    };
    locks.lines().filter_map(of_line).collect()
}

/// The parent of a process, its parent, and so on.
fn ancestors(pid: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(parent(pid), |pid| parent(*pid))
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may itself have some (proc_pid_stat(5)).
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(1)?.parse().ok().filter(|pid| *pid != 0)
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("who holds them cannot be seen from here");
        }
        f.write_str("held by ")?;
        for (number, (pid, cpus)) in self.0.iter().enumerate() {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}pid {pid} ({}): {cpus}", name.trim())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernel_s_list() {
        let locks = "1: FLOCK  ADVISORY  WRITE 26039 fe:00:42 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 7 fe:00:42 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 8 00:2f:43 0 EOF\n\
                     3: -> FLOCK  ADVISORY  WRITE 9 00:2f:42 0 EOF\n\
                     4: OFDLCK ADVISORY  WRITE -1 fe:00:42 0 EOF\n\
                     nonsense\n\n";
        assert_eq!(pids(locks, &[42]), [26039]);
        assert_eq!(pids(locks, &[42, 43]), [26039, 8]);
        assert_eq!(pids("", &[42]), Vec::<u32>::new());
    }

    #[test]
    fn ancestors_end_at_the_first_process() {
        let found: Vec<u32> = ancestors(std::process::id()).collect();
        assert_eq!(found.first(), Some(&std::os::unix::process::parent_id()));
        assert!(!found.contains(&std::process::id()) && !found.contains(&0), "{found:?}");
    }
}
