//! The machine as the guest's kernel sees it.

use crate::CpuSet;
use serde::{Deserialize, Serialize};

/// What the files of a guest's kernel say about its machine, word for word.
///
/// Sources: Documentation/ABI/stable/sysfs-devices-system-cpu and sysfs-devices-node,
/// Documentation/scheduler/sched-stats.rst, Documentation/filesystems/proc.rst.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MachineReport {
    /// `/sys/devices/system/cpu/online`.
    pub online: String,
    /// `/sys/devices/system/cpu/possible`.
    pub possible: String,
    /// Files below `/sys/devices/system/cpu/cpuN`, of the online CPUs.
    pub cpus: Vec<CpuFact>,
    /// Scheduling domains by `/proc/schedstat`: `domain0` and so on, each with its name, if that kernel prints one, and
    /// its mask.
    pub domains: Vec<CpuFact>,
    /// NUMA nodes that are online.
    pub nodes: Vec<NodeReport>,
    /// Guest time that gathering all this took.
    pub took_ns: u64,
}

/// One thing that each CPU has, with CPUs of the same value together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuFact {
    /// Which: a path, or the name of a domain.
    pub name: String,
    /// Its values; a CPU that does not have it is in none.
    pub values: Vec<CpuValue>,
}

/// A value and the CPUs that have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuValue {
    /// The value.
    pub text: String,
    /// The CPUs.
    pub cpus: CpuSet,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// Its number.
    pub node: u32,
    /// `/sys/devices/system/node/nodeN/cpulist`.
    pub cpulist: String,
    /// `/sys/devices/system/node/nodeN/distance`.
    pub distance: String,
    /// RAM that the kernel found in it: what its zones have `present` by `/proc/zoneinfo`, in pages of 4096 bytes.
    pub present_pages: u64,
}

impl CpuFact {
    /// One that no CPU has yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), values: Vec::new() }
    }

    /// Notes that `cpu` has the value `text`.
    pub fn note(&mut self, cpu: u32, text: &str) {
        // Neighbours mostly have the same.
        match self.values.iter_mut().rev().find(|value| value.text == text) {
            Some(value) => value.cpus.insert(cpu),
            None => self.values.push(CpuValue { text: text.to_owned(), cpus: CpuSet::from_iter([cpu]) }),
        }
    }

    /// What `cpu` has.
    pub fn of(&self, cpu: u32) -> Option<&str> {
        self.values.iter().find(|value| value.cpus.contains(cpu)).map(|value| value.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_of_the_same_value_are_together() {
        let mut fact = CpuFact::new("topology/core_id");
        for (cpu, text) in [(0, "0"), (1, "1"), (2, "0"), (4, "1")] {
            fact.note(cpu, text);
        }
        let values: Vec<(&str, String)> =
            fact.values.iter().map(|value| (value.text.as_str(), value.cpus.to_string())).collect();
        assert_eq!(values, [("0", "0,2".to_owned()), ("1", "1,4".to_owned())]);
        assert_eq!((fact.of(4), fact.of(3)), (Some("1"), None));
    }
}
