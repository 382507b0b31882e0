//! Which CPUs share a last-level cache.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Where the kernel tells (Documentation/ABI/testing/sysfs-devices-system-cpu).
const CPUS: &str = "/sys/devices/system/cpu";

/// The LLC of each CPU.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Llcs {
    /// By CPU. One without a cache that is told, such as one that is offline, is counted to the first LLC.
    pub(crate) of_cpu: Vec<u16>,
    /// How many there are; 1 at least.
    pub(crate) count: u16,
}

impl Llcs {
    /// Those of this machine's first `cpus` CPUs.
    pub(crate) fn of_this_machine(cpus: usize) -> Self {
        Self::numbered((0..cpus).map(|cpu| sharers(Path::new(CPUS), cpu)))
    }

    /// Numbers what CPUs share in the order in which it appears.
    fn numbered(sharers: impl Iterator<Item = Option<String>>) -> Self {
        let mut numbers = HashMap::new();
        let mut number = |sharers: String| {
            let next = numbers.len() as u16;
            *numbers.entry(sharers).or_insert(next)
        };
        let of_cpu = sharers.map(|sharers| sharers.map_or(0, &mut number)).collect();
        Self { of_cpu, count: (numbers.len() as u16).max(1) }
    }
}

/// The CPUs that share the highest cache of one, as a list in the kernel's words.
fn sharers(cpus: &Path, cpu: usize) -> Option<String> {
    let caches = fs::read_dir(cpus.join(format!("cpu{cpu}/cache"))).ok()?;
    let caches = caches.filter_map(|cache| {
        let dir = cache.ok()?.path();
        let read = |name| fs::read_to_string(dir.join(name)).ok();
        Some((read("level")?.trim().parse::<u32>().ok()?, read("shared_cpu_list")?.trim().to_owned()))
    });
    caches.max_by_key(|(level, _)| *level).map(|(_, list)| list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lists: &[Option<&str>], of_cpu: &[u16], count: u16) {
        let llcs = Llcs::numbered(lists.iter().map(|list| list.map(str::to_owned)));
        assert_eq!(llcs, Llcs { of_cpu: of_cpu.to_vec(), count }, "{lists:?}");
    }

    #[test]
    fn llcs_are_numbered_as_they_appear() {
        check(&[Some("0-1"), Some("0-1"), Some("2-3"), Some("2-3")], &[0, 0, 1, 1], 2);
        check(&[Some("0,2"), Some("1,3"), Some("0,2"), None], &[0, 1, 0, 0], 2);
        check(&[None, None], &[0, 0], 1);
        check(&[], &[], 1);
    }

    #[test]
    fn the_highest_cache_counts() {
        let dir = tempfile::tempdir().unwrap();
        for (index, level, list) in [(0, 1, "0"), (1, 3, "0-3"), (2, 2, "0-1")] {
            let cache = dir.path().join(format!("cpu0/cache/index{index}"));
            fs::create_dir_all(&cache).unwrap();
            fs::write(cache.join("level"), format!("{level}\n")).unwrap();
            fs::write(cache.join("shared_cpu_list"), format!("{list}\n")).unwrap();
        }
        assert_eq!(sharers(dir.path(), 0).as_deref(), Some("0-3"));
        assert_eq!(sharers(dir.path(), 1), None);
    }
}
