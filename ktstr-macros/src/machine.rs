//! Machines that no test can have are found before it is compiled.

use crate::values::Given;
use proc_macro2::Span;
use syn::{Error, Result};

/// The most CPUs that a machine may have (`Topology::MAX_CPUS`).
const MAX_CPUS: u32 = 512;
/// Distance of a node from itself (`Machine::LOCAL_DISTANCE`).
const LOCAL_DISTANCE: u8 = 10;

/// What the attribute says of the machine; what it doesn't say is `None`.
#[derive(Default)]
pub(crate) struct MachineAttrs {
    pub(crate) llcs: Option<u32>,
    pub(crate) cores: Option<u32>,
    pub(crate) threads: Option<u32>,
    pub(crate) numa_nodes: Option<u32>,
    pub(crate) memory_mb: Option<Given<u32>>,
    pub(crate) node_llcs: Option<Given<Vec<u32>>>,
    pub(crate) node_memory_mb: Option<Given<Vec<u32>>>,
    pub(crate) memory_only_nodes_mb: Option<Given<Vec<u32>>>,
    pub(crate) distances: Option<Given<Vec<Vec<u8>>>>,
}

/// Checks what the attributes say of the machine against each other; `span` is where they all are.
pub(crate) fn check(attrs: &MachineAttrs, span: Span) -> Result<()> {
    let get = |field: Option<u32>| field.unwrap_or(1);
    let (llcs, nodes) = (get(attrs.llcs), get(attrs.numa_nodes));
    let cpus = llcs.saturating_mul(get(attrs.cores)).saturating_mul(get(attrs.threads));
    if cpus > MAX_CPUS {
        return Err(Error::new(span, format!("{cpus} CPUs are more than the {MAX_CPUS} that a machine may have")));
    }
    if nodes > llcs {
        return Err(Error::new(span, format!("{nodes} NUMA nodes cannot divide {llcs} LLCs: each needs at least one")));
    }
    check_node_llcs(attrs, llcs, nodes)?;
    check_memory(attrs, nodes)?;
    check_distances(attrs, nodes)
}

fn check_node_llcs(attrs: &MachineAttrs, llcs: u32, nodes: u32) -> Result<()> {
    let Some(given) = &attrs.node_llcs else { return Ok(()) };
    check_length("node_llcs", given.value.len(), nodes).map_err(|message| given.error(message))?;
    let sum = given.value.iter().fold(0_u32, |sum, llcs| sum.saturating_add(*llcs));
    if sum == llcs { Ok(()) } else { Err(given.error(format!("these are {sum} LLCs and the machine has {llcs}"))) }
}

fn check_memory(attrs: &MachineAttrs, nodes: u32) -> Result<()> {
    if let Some(given) = &attrs.node_memory_mb {
        check_length("node_memory_mb", given.value.len(), nodes).map_err(|message| given.error(message))?;
        if let Some(whole) = &attrs.memory_mb {
            let message =
                "`memory_mb` is spread over the nodes for which `node_memory_mb` says what each has: give one of them";
            return Err(whole.error(message.to_owned()));
        }
    }
    let lists = [&attrs.node_memory_mb, &attrs.memory_only_nodes_mb].into_iter().flatten();
    let all = lists.flat_map(|given| given.value.iter().map(|mb| (*mb, given.span)));
    for (mb, span) in all.chain(attrs.memory_mb.as_ref().map(|given| (given.value, given.span))) {
        if mb % 2 != 0 {
            return Err(Error::new(
                span,
                format!("memory comes in steps of 2 MiB: {mb} is none, {} is one", u64::from(mb) + 1),
            ));
        }
    }
    Ok(())
}

fn check_distances(attrs: &MachineAttrs, nodes: u32) -> Result<()> {
    let Some(given) = &attrs.distances else { return Ok(()) };
    let without_cpus = attrs.memory_only_nodes_mb.as_ref().map_or(0, |given| given.value.len());
    let nodes = nodes as usize + without_cpus;
    if given.value.len() != nodes || given.value.iter().any(|row| row.len() != nodes) {
        return Err(
            given.error(format!("the machine has {nodes} nodes: {nodes} lists of {nodes} distances are needed"))
        );
    }
    for (from, row) in given.value.iter().enumerate() {
        for (to, distance) in row.iter().enumerate() {
            if (from == to) != (*distance == LOCAL_DISTANCE) {
                let message = format!(
                    "node {to} cannot be {distance} from node {from}: a node is {LOCAL_DISTANCE} from itself, and farther from any other"
                );
                return Err(given.error(message));
            }
        }
    }
    Ok(())
}

fn check_length(name: &str, given: usize, nodes: u32) -> std::result::Result<(), String> {
    if given == nodes as usize {
        return Ok(());
    }
    Err(format!("`{name}` has {given} numbers and the machine {nodes} NUMA nodes with CPUs"))
}
