//! Whether the guest has the machine that the test declares: what its kernel says against the declaration, in words.

mod cpus;
mod declared;
mod domains;
mod nodes;
#[cfg(test)]
mod tests;

use ktstr_vmm::layout::RamLayout;
use ktstr_wire::{CpuSet, Machine, MachineReport};

/// Everything in which the guest's machine is another one than declared; `layout` is where its RAM lies.
pub(crate) fn differences(machine: &Machine, layout: &RamLayout, report: &MachineReport) -> Vec<String> {
    let mut found = Vec::new();
    for (which, text) in [("online", &report.online), ("possible", &report.possible)] {
        found.extend(differs(&format!("the CPUs that are {which}"), Some(text), &declared::cpus(machine)));
    }
    found.extend(cpus::differences(machine, &report.cpus));
    found.extend(nodes::differences(machine, layout, &report.nodes));
    found.extend(domains::differences(machine, &report.domains));
    found
}

/// `what`, told as a list, against what is declared.
fn differs(what: &str, told: Option<&str>, declared: &CpuSet) -> Option<String> {
    let Some(text) = told else { return Some(format!("{what} are not told, declared are {}", words(declared))) };
    match text.parse::<CpuSet>() {
        Ok(cpus) if cpus == *declared => None,
        Ok(cpus) => Some(format!("{what} are {}, declared are {}", words(&cpus), words(declared))),
        Err(error) => Some(format!("{what} are not told: {error}")),
    }
}

/// A set for people.
fn words(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "none".to_owned() } else { cpus.to_string() }
}
