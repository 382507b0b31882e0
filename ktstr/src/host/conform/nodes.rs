//! NUMA nodes: their CPUs, their distances, their memory.

use super::{declared, differs};
use ktstr_vmm::layout::{ACPI_MAX_BYTES, EXTENDED_RAM_START, RamLayout, Range, node_ranges};
use ktstr_wire::{Machine, NodeReport};
use std::ops::RangeInclusive;

const PAGE_BYTES: u64 = 4096;

/// What differs.
pub(super) fn differences(machine: &Machine, layout: &RamLayout, nodes: &[NodeReport]) -> Vec<String> {
    let mut found = Vec::new();
    let extra = nodes.iter().filter(|node| node.node as usize >= machine.nodes.len());
    found.extend(extra.map(|node| format!("there is a node {}, which is not declared", node.node)));
    for number in 0..machine.nodes.len() {
        match nodes.iter().find(|node| node.node as usize == number) {
            Some(node) => found.extend(node_differences(machine, layout, node)),
            None => found.push(format!("there is no node {number}, which is declared")),
        }
    }
    found
}

fn node_differences(machine: &Machine, layout: &RamLayout, node: &NodeReport) -> Vec<String> {
    let number = node.node as usize;
    let cpus = declared::of_nodes(machine, |other| other == number);
    let mut found: Vec<String> =
        differs(&format!("the CPUs of node {number}"), Some(&node.cpulist), &cpus).into_iter().collect();
    let row = machine.distances.get(number).map(Vec::as_slice).unwrap_or_default();
    let declared = row.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    if node.distance != declared {
        found.push(format!("the distances of node {number} are {}, declared are {declared}", node.distance));
    }
    let present = node.present_pages.saturating_mul(PAGE_BYTES);
    let usable = usable_bytes(machine, layout, number);
    if !usable.contains(&present) {
        let [present, least, most] = [present, *usable.start(), *usable.end()].map(|bytes| bytes >> 10);
        found.push(format!("the RAM of node {number} is {present} KiB, declared are {least} to {most} KiB"));
    }
    found
}

/// How much RAM the kernel finds in a node. `present` counts what the kernel keeps for itself, and leaves out what the
/// memory map does not offer: the reserved range, and next to it firmware's tables, up to [`ACPI_MAX_BYTES`]; at address 0
/// the first page and the hole of video memory and firmware, less than a MiB.
fn usable_bytes(machine: &Machine, layout: &RamLayout, node: usize) -> RangeInclusive<u64> {
    let sizes: Vec<u64> = machine.nodes.iter().map(|node| node.memory_bytes).collect();
    let ranges: Vec<Range> = node_ranges(layout, &sizes)
        .into_iter()
        .filter(|range| range.node as usize == node)
        .map(|range| range.range)
        .collect();
    let within = |other: Range| ranges.iter().map(|range| common_bytes(*range, other)).sum::<u64>();
    let tables_gpa = layout.reserved.gpa + layout.reserved.bytes;
    let tables = within(Range { gpa: tables_gpa, bytes: layout.low.bytes - tables_gpa }).min(ACPI_MAX_BYTES);
    let hole = within(Range { gpa: 0, bytes: EXTENDED_RAM_START });
    let most = sizes.get(node).copied().unwrap_or(0) - within(layout.reserved);
    most.saturating_sub(tables + hole)..=most
}

fn common_bytes(a: Range, b: Range) -> u64 {
    let end = (a.gpa + a.bytes).min(b.gpa + b.bytes);
    end.saturating_sub(a.gpa.max(b.gpa))
}
