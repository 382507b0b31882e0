//! From a snapshot's file into the RAM of a machine.

use super::pages::{next_data, pieces, runs};
use crate::layout::NodeRange;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Copies RAM into the files of nodes of these sizes, which are empty so far.
///
/// # Errors
/// What reading or writing returns.
pub(crate) fn copy_into_files(ram: &File, node_bytes: &[u64], files: &[Arc<File>]) -> io::Result<()> {
    let bytes = node_bytes.iter().sum();
    pieces(ram, bytes, |offset, piece| {
        for (start, run) in runs(piece) {
            let (node, offset) = node_of(offset + start as u64, node_bytes).ok_or(io::ErrorKind::InvalidInput)?;
            files.get(node).ok_or(io::ErrorKind::InvalidInput)?.write_all_at(run, offset)?;
        }
        Ok(())
    })
}

/// Copies RAM into memory that is zeros so far.
///
/// # Errors
/// What reading or writing returns.
pub(crate) fn copy_into_memory(ram: &File, ranges: &[NodeRange], memory: &GuestMemoryMmap) -> io::Result<()> {
    let bytes = ranges.iter().map(|node| node.range.bytes).sum();
    pieces(ram, bytes, |offset, piece| {
        for (start, run) in runs(piece) {
            let gpa = gpa_of(offset + start as u64, ranges).ok_or(io::ErrorKind::InvalidInput)?;
            memory.write_slice(run, GuestAddress(gpa)).map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    })
}

/// Offset and length of runs of blocks of this size that have data, between `start` and `end`.
///
/// # Errors
/// What asking for it returns.
pub(crate) fn data_blocks(ram: &File, start: u64, end: u64, block_bytes: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    let mut at = start;
    while let Some(data) = next_data(ram, at)?.filter(|data| *data < end) {
        let block = data - data % block_bytes;
        match blocks.last_mut() {
            Some((first, bytes)) if *first + *bytes == block => *bytes += block_bytes,
            _ => blocks.push((block, block_bytes)),
        }
        at = block + block_bytes;
    }
    Ok(blocks)
}

/// The node that an offset is in, and where there. A piece has its run in one node, for nodes are multiples of pieces.
fn node_of(offset: u64, node_bytes: &[u64]) -> Option<(usize, u64)> {
    let mut start = 0;
    node_bytes.iter().enumerate().find_map(|(node, bytes)| {
        let within = offset.checked_sub(start)?;
        start += bytes;
        (within < *bytes).then_some((node, within))
    })
}

/// The guest-physical address of an offset.
fn gpa_of(offset: u64, ranges: &[NodeRange]) -> Option<u64> {
    let bytes: Vec<u64> = ranges.iter().map(|node| node.range.bytes).collect();
    let (number, within) = node_of(offset, &bytes)?;
    ranges.get(number).map(|node| node.range.gpa + within)
}
