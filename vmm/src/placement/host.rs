//! The host's CPUs as its kernel describes them (Documentation/ABI/stable/sysfs-devices-system-cpu).

use std::path::Path;

/// One CPU of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostCpu {
    /// By the host's numbers.
    pub cpu: usize,
    /// The first of its SMT siblings, which names the core.
    pub core: usize,
    /// The first of the CPUs with which it shares its last-level cache, which names that.
    pub llc: usize,
    /// NUMA node.
    pub node: usize,
}

/// CPUs of the host, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTopology {
    /// The CPUs.
    pub cpus: Vec<HostCpu>,
}

impl HostTopology {
    /// What the host's kernel says of these CPUs. Where it does not tell who shares a cache, all of a package do; where it
    /// tells nothing, each CPU is a core of one LLC and node.
    pub fn read(cpus: &[usize]) -> Self {
        Self::read_at(Path::new("/sys/devices/system"), cpus)
    }

    fn read_at(system: &Path, cpus: &[usize]) -> Self {
        let one = |&cpu: &usize| {
            let folder = system.join(format!("cpu/cpu{cpu}"));
            let first = |file: &str| first_of_list(&folder.join(file));
            let llc = last_level_cache(&folder).or_else(|| first("topology/package_cpus_list"));
            HostCpu {
                cpu,
                core: first("topology/thread_siblings_list").unwrap_or(cpu),
                llc: llc.unwrap_or(0),
                node: node(&folder).unwrap_or(0),
            }
        };
        Self { cpus: cpus.iter().map(one).collect() }
    }

    /// Only these CPUs, and of them only those whose SMT siblings are among them too.
    #[must_use]
    pub fn whole_cores(&self, cpus: &[usize]) -> Self {
        let split: Vec<usize> = self.cpus.iter().filter(|cpu| !cpus.contains(&cpu.cpu)).map(|cpu| cpu.core).collect();
        Self { cpus: self.cpus.iter().copied().filter(|cpu| !split.contains(&cpu.core)).collect() }
    }
}

/// The first CPU with which this one shares its cache of the highest level.
fn last_level_cache(cpu: &Path) -> Option<usize> {
    let caches = std::fs::read_dir(cpu.join("cache")).ok()?.filter_map(Result::ok);
    let levels = caches.filter_map(|cache| {
        let level: u32 = std::fs::read_to_string(cache.path().join("level")).ok()?.trim().parse().ok()?;
        Some((level, first_of_list(&cache.path().join("shared_cpu_list"))?))
    });
    levels.max_by_key(|(level, _)| *level).map(|(_, first)| first)
}

/// The number of the link `nodeN` beside the CPU's files.
fn node(cpu: &Path) -> Option<usize> {
    let names = std::fs::read_dir(cpu).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("node")?.parse().ok()).next()
}

/// The first CPU of a list such as `4-7,12`.
fn first_of_list(path: &Path) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().split(['-', ',']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, file: &str, text: &str) {
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn reads_what_the_kernel_shows() {
        let dir = tempfile::tempdir().unwrap();
        let cpu = dir.path().join("cpu/cpu5");
        write(&cpu, "topology/thread_siblings_list", "5,13\n");
        write(&cpu, "cache/index0/level", "1\n");
        write(&cpu, "cache/index0/shared_cpu_list", "5,13\n");
        write(&cpu, "cache/index3/level", "3\n");
        write(&cpu, "cache/index3/shared_cpu_list", "4-7,12-15\n");
        std::fs::create_dir(cpu.join("node1")).unwrap();
        write(&dir.path().join("cpu/cpu6"), "topology/package_cpus_list", "2-7\n");
        let read = HostTopology::read_at(dir.path(), &[5, 6, 7]);
        let cpu = |cpu, core, llc, node| HostCpu { cpu, core, llc, node };
        assert_eq!(read.cpus, [cpu(5, 5, 4, 1), cpu(6, 6, 2, 0), cpu(7, 7, 0, 0)]);
    }

    #[test]
    fn half_a_core_is_none() {
        let cpu = |cpu, core| HostCpu { cpu, core, llc: 0, node: 0 };
        let host = HostTopology { cpus: vec![cpu(0, 0), cpu(1, 1), cpu(2, 0), cpu(3, 1)] };
        assert_eq!(host.whole_cores(&[0, 1, 3]).cpus, [cpu(1, 1), cpu(3, 1)]);
    }

    #[test]
    fn reads_this_host() {
        let cpus = crate::host_cpus::usable();
        assert_eq!(HostTopology::read(&cpus).cpus.iter().map(|cpu| cpu.cpu).collect::<Vec<_>>(), cpus);
    }
}
