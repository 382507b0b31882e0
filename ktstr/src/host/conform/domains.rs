//! Scheduling domains, as kernel/sched/topology.c builds them from a machine.

use super::declared;
use ktstr_wire::{CpuFact, CpuSet, Machine};
use std::collections::BTreeSet;
use std::fmt;

/// A domain of a CPU.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// Names that the level has or had: PKG was DIE until 6.7, and is left out, so that NODE stands for the same CPUs,
    /// where packages have several nodes (arch/x86/kernel/smpboot.c). The first is shown.
    names: &'static [&'static str],
    span: CpuSet,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.names.first().unwrap_or(&""), self.span)
    }
}

/// The domains that a CPU has, from the smallest.
///
/// The kernel has levels for SMT siblings, for CPUs that share an L2 (here those of a core) or an LLC, for those of a
/// node, and for each distance between nodes that have CPUs those of the nodes within it (sched_init_numa). It drops a
/// domain of one CPU, and one that spans what its child spans (sd_degenerate, sd_parent_degenerate).
pub(super) fn expected(machine: &Machine, cpu: u32) -> Vec<Domain> {
    let node = machine.node_of_cpu(cpu) as usize;
    let mut levels = vec![
        Domain { names: &["SMT"], span: declared::core(machine, cpu) },
        Domain { names: &["MC"], span: declared::llc(machine, cpu) },
        Domain { names: &["PKG", "DIE", "NODE"], span: declared::of_nodes(machine, |other| other == node) },
    ];
    let with_cpus = machine.topology.numa_nodes as usize;
    let rows = machine.distances.iter().take(with_cpus);
    let distances: BTreeSet<u8> = rows.flat_map(|row| row.iter().take(with_cpus).copied()).collect();
    let from_here = machine.distances.get(node).map(Vec::as_slice).unwrap_or_default();
    for distance in distances {
        let within = |other: usize| from_here.get(other).is_some_and(|far| *far <= distance);
        levels.push(Domain { names: &["NUMA"], span: declared::of_nodes(machine, within) });
    }
    levels.retain(|level| level.span.len() > 1);
    levels.dedup_by(|parent, child| parent.span == child.span);
    levels
}

/// What differs.
pub(super) fn differences(machine: &Machine, facts: &[CpuFact]) -> Vec<String> {
    declared::cpus(machine).iter().filter_map(|cpu| difference(machine, facts, cpu)).collect()
}

fn difference(machine: &Machine, facts: &[CpuFact], cpu: u32) -> Option<String> {
    let told: Vec<&str> = facts.iter().filter_map(|fact| fact.of(cpu)).collect();
    let expected = expected(machine, cpu);
    if told.len() == expected.len() && told.iter().zip(&expected).all(|(told, domain)| is_told(domain, told)) {
        return None;
    }
    let told: Vec<String> = told.into_iter().map(readable).collect();
    let declared: Vec<String> = expected.iter().map(Domain::to_string).collect();
    Some(format!("CPU {cpu} has the scheduling domains [{}], declared are [{}]", told.join("; "), declared.join("; ")))
}

/// Whether a mask, with a name before it where the kernel prints one, is the domain.
fn is_told(domain: &Domain, told: &str) -> bool {
    let (name, mask) = told.split_once(' ').map_or((None, told), |(name, mask)| (Some(name), mask));
    let has_name = name.is_none_or(|name| domain.names.contains(&name));
    has_name && CpuSet::from_mask(mask).is_ok_and(|span| span == domain.span)
}

/// The same with a list instead of the mask.
fn readable(told: &str) -> String {
    let (name, mask) = told.rsplit_once(' ').map_or(("", told), |(name, mask)| (name, mask));
    match CpuSet::from_mask(mask) {
        Ok(span) => format!("{name} {span}").trim_start().to_owned(),
        Err(_) => told.to_owned(),
    }
}
