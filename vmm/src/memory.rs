//! The guest's RAM, as the host sees it.

use crate::error::Error;
use crate::layout::{RESERVED_ALIGN, RamLayout, Range};
use ktstr_wire::{MappedRegion, Region};
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;
use std::ptr::NonNull;
use std::sync::Arc;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// One NUMA node's share of RAM: an anonymous shared file, whose bytes follow those of the nodes before it.
#[derive(Debug, Clone)]
pub struct NodeRam {
    /// The file.
    pub file: Arc<File>,
    /// Its size.
    pub bytes: u64,
}

/// RAM in anonymous shared files, mapped into this process. Pages that neither side has touched take no host memory.
#[derive(Debug, Clone)]
pub struct GuestRam {
    layout: RamLayout,
    nodes: Vec<NodeRam>,
    mapped: Arc<GuestMemoryMmap>,
}

impl GuestRam {
    /// RAM of this layout, spread evenly over the NUMA nodes.
    ///
    /// # Errors
    /// [`Error::HostMemory`].
    pub fn new(layout: RamLayout, numa_nodes: u32) -> Result<Self, Error> {
        let bytes = layout.low.bytes + layout.high.map_or(0, |high| high.bytes);
        let host_memory = |source| Error::HostMemory { bytes, source };
        let nodes = node_sizes(bytes, numa_nodes)
            .into_iter()
            .map(|bytes| Ok(NodeRam { file: Arc::new(anonymous_file(bytes)?), bytes }))
            .collect::<io::Result<Vec<_>>>()
            .map_err(host_memory)?;
        let ranges = mappings(&layout, &nodes);
        let mapped = GuestMemoryMmap::from_ranges_with_files(&ranges)
            .map_err(|error| host_memory(io::Error::other(error.to_string())))?;
        Ok(Self { layout, nodes, mapped: Arc::new(mapped) })
    }

    /// Where it lies.
    pub fn layout(&self) -> &RamLayout {
        &self.layout
    }

    /// The files behind it, in node order.
    pub fn nodes(&self) -> &[NodeRam] {
        &self.nodes
    }

    /// The mapping, for reads and writes at guest-physical addresses.
    pub fn mapped(&self) -> &GuestMemoryMmap {
        &self.mapped
    }

    /// The reserved range.
    ///
    /// # Errors
    /// [`Error::HostMemory`] when it is not mapped in one piece.
    pub fn reserved(&self) -> Result<RamRegion, Error> {
        let Range { gpa, bytes } = self.layout.reserved;
        let slice = self
            .mapped
            .get_slice(GuestAddress(gpa), bytes as usize)
            .map_err(|error| Error::HostMemory { bytes, source: io::Error::other(error.to_string()) })?;
        let start = NonNull::new(slice.ptr_guard_mut().as_ptr())
            .ok_or(Error::HostMemory { bytes, source: io::ErrorKind::AddrNotAvailable.into() })?;
        // SAFETY: the slice was just found to be mapped, is page-aligned, and `RamRegion` keeps the mapping alive; guest
        // memory is never the target of a Rust reference.
        let region = unsafe { MappedRegion::new(start, bytes as usize) };
        Ok(RamRegion { region, _mapped: Arc::clone(&self.mapped) })
    }
}

/// A range of guest RAM that keeps the mapping alive.
#[derive(Debug, Clone)]
pub struct RamRegion {
    region: MappedRegion,
    _mapped: Arc<GuestMemoryMmap>,
}

impl Region for RamRegion {
    fn len_bytes(&self) -> usize {
        self.region.len_bytes()
    }

    fn read(&self, offset: usize, into: &mut [u8]) {
        self.region.read(offset, into);
    }

    fn write(&self, offset: usize, from: &[u8]) {
        self.region.write(offset, from);
    }

    fn load(&self, offset: usize) -> u32 {
        self.region.load(offset)
    }

    fn store(&self, offset: usize, value: u32) {
        self.region.store(offset, value);
    }
}

/// Sizes of the nodes' shares; the last takes what does not divide.
fn node_sizes(bytes: u64, numa_nodes: u32) -> Vec<u64> {
    let nodes = u64::from(numa_nodes.max(1));
    let each = bytes / nodes / RESERVED_ALIGN * RESERVED_ALIGN;
    (0..nodes).map(|node| if node + 1 == nodes { bytes - each * (nodes - 1) } else { each }).collect()
}

/// What to map where: the files follow each other through low and then high RAM.
fn mappings(layout: &RamLayout, nodes: &[NodeRam]) -> Vec<(GuestAddress, usize, Option<FileOffset>)> {
    let mut ranges = Vec::new();
    let mut before = 0;
    for node in nodes {
        let (start, end) = (before, before + node.bytes);
        before = end;
        let low_end = end.min(layout.low.bytes);
        if start < low_end {
            ranges.push(mapping(start, low_end - start, node, 0));
        }
        if let Some(high) = layout.high.filter(|_| end > layout.low.bytes) {
            let first = start.max(layout.low.bytes);
            ranges.push(mapping(high.gpa + (first - layout.low.bytes), end - first, node, first - start));
        }
    }
    ranges
}

fn mapping(gpa: u64, bytes: u64, node: &NodeRam, offset: u64) -> (GuestAddress, usize, Option<FileOffset>) {
    (GuestAddress(gpa), bytes as usize, Some(FileOffset::from_arc(Arc::clone(&node.file), offset)))
}

fn anonymous_file(bytes: u64) -> io::Result<File> {
    // SAFETY: the name is a C string; the call has no other requirement.
    let fd = unsafe { libc::memfd_create(c"ktstr-ram".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a fresh descriptor that nothing else owns.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(bytes)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_memory::{Bytes, GuestMemoryRegion};

    const MIB: u64 = 1 << 20;

    fn ram(mib: u64, numa_nodes: u32) -> GuestRam {
        GuestRam::new(RamLayout::new(mib * MIB, 64 * MIB).unwrap(), numa_nodes).unwrap()
    }

    #[test]
    fn nodes_cover_everything_once() {
        for (mib, nodes) in [(512, 1), (513, 3), (5000, 2), (6000, 4)] {
            let ram = ram(mib, nodes);
            let mapped: u64 = ram.mapped().iter().map(|region| region.len()).sum();
            assert_eq!(mapped, mib.next_multiple_of(2) * MIB, "{mib} MiB over {nodes}");
            assert_eq!(ram.nodes().iter().map(|node| node.bytes).sum::<u64>(), mapped);
        }
    }

    #[test]
    fn reserved_range_is_guest_memory() {
        let ram = ram(512, 1);
        let region = ram.reserved().unwrap();
        region.write(8, b"seen");
        let mut got = [0; 4];
        ram.mapped().read_slice(&mut got, GuestAddress(ram.layout().reserved.gpa + 8)).unwrap();
        assert_eq!(&got, b"seen");
    }
}
