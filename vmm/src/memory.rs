//! The guest's RAM, as the host sees it.

use crate::error::Error;
use crate::layout::{NodeRange, RamLayout, Range, node_ranges};
use crate::memfd;
use crate::placement::{Part, Plan, Report, bind_memory};
use crate::private_pages::{self, HUGE_BYTES, PrivatePages};
use crate::snapshot;
use ktstr_wire::{MappedRegion, Node, Region};
use std::fs::File;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestRegionMmap, MmapRegion};

/// What RAM is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// An anonymous shared file for each NUMA node, which another process can map too.
    SharedFiles,
    /// Memory of this process alone, in huge pages where the host has them.
    Private,
}

/// The guest's RAM, mapped into this process. Pages that neither side has touched take no host memory.
#[derive(Debug, Clone)]
pub struct GuestRam {
    layout: RamLayout,
    node_bytes: Vec<u64>,
    /// One for each node, whose bytes follow those of the nodes before it; none when RAM is private.
    files: Vec<Arc<File>>,
    mapped: Arc<Mapped>,
}

/// The mapping, and what it is made of if that is not its own.
#[derive(Debug)]
struct Mapped {
    memory: GuestMemoryMmap,
    pages: Vec<PrivatePages>,
}

impl GuestRam {
    /// RAM of this layout, each NUMA node's behind that of the nodes before it.
    ///
    /// # Errors
    /// [`Error::HostMemory`].
    pub fn new(layout: RamLayout, nodes: &[Node], backing: Backing) -> Result<Self, Error> {
        let bytes = layout.low.bytes + layout.high.map_or(0, |high| high.bytes);
        let host_memory = |source| Error::HostMemory { bytes, source };
        let node_bytes: Vec<u64> = nodes.iter().map(|node| node.memory_bytes).collect();
        let files = match backing {
            Backing::Private => Vec::new(),
            Backing::SharedFiles => {
                let files = node_bytes.iter().map(|&bytes| anonymous_file(bytes).map(Arc::new));
                files.collect::<io::Result<_>>().map_err(host_memory)?
            }
        };
        let ranges = node_ranges(&layout, &node_bytes);
        let mapped = match backing {
            Backing::Private => map_small_or_transparent(&ranges).and_then(|pages| map_private(&ranges, pages)),
            Backing::SharedFiles => map_files(&ranges, &files),
        };
        Ok(Self { layout, node_bytes, files, mapped: Arc::new(mapped.map_err(host_memory)?) })
    }

    /// Private RAM in reserved huge pages, each node's on the host node that the plan gives it, as far as the host can;
    /// the report says how far.
    ///
    /// # Errors
    /// [`Error::HostMemory`].
    pub(crate) fn placed(layout: RamLayout, nodes: &[Node], plan: &Plan, report: &mut Report) -> Result<Self, Error> {
        let node_bytes: Vec<u64> = nodes.iter().map(|node| node.memory_bytes).collect();
        let bytes = node_bytes.iter().sum();
        let ranges = node_ranges(&layout, &node_bytes);
        let mapped = placed_pages(&ranges, plan, report).and_then(|pages| map_private(&ranges, pages));
        let mapped = Arc::new(mapped.map_err(|source| Error::HostMemory { bytes, source })?);
        Ok(Self { layout, node_bytes, files: Vec::new(), mapped })
    }

    /// RAM of this layout with what is in the file of a snapshot. Private RAM shares the file's pages until they are written
    /// to; where there are none it is as that of [`GuestRam::new`].
    ///
    /// # Errors
    /// [`Error::HostMemory`].
    pub(crate) fn forked(layout: RamLayout, nodes: &[Node], backing: Backing, snapshot: &File) -> Result<Self, Error> {
        let this = Self::new(layout, nodes, backing)?;
        let ranges = node_ranges(&this.layout, &this.node_bytes);
        let filled = match backing {
            Backing::Private => share(snapshot, &ranges, &this.mapped.pages),
            Backing::SharedFiles => snapshot::copy_into_files(snapshot, &this.node_bytes, &this.files),
        };
        let host_memory = |source| Error::HostMemory { bytes: this.node_bytes.iter().sum(), source };
        filled.map_err(host_memory)?;
        Ok(this)
    }

    /// Copies RAM from the file of a snapshot.
    ///
    /// # Errors
    /// [`Error::HostMemory`].
    pub(crate) fn fill(&self, snapshot: &File) -> Result<(), Error> {
        let filled = snapshot::copy_into_memory(snapshot, &node_ranges(&self.layout, &self.node_bytes), self.mapped());
        filled.map_err(|source| Error::HostMemory { bytes: self.node_bytes.iter().sum(), source })
    }

    /// Where it lies.
    pub fn layout(&self) -> &RamLayout {
        &self.layout
    }

    /// Each NUMA node's share.
    pub fn node_bytes(&self) -> &[u64] {
        &self.node_bytes
    }

    /// The files behind it, in node order; none when it is private.
    pub fn files(&self) -> &[Arc<File>] {
        &self.files
    }

    /// The mapping, for reads and writes at guest-physical addresses.
    pub fn mapped(&self) -> &GuestMemoryMmap {
        &self.mapped.memory
    }

    /// The reserved range.
    ///
    /// # Errors
    /// [`Error::HostMemory`] when it is not mapped in one piece.
    pub fn reserved(&self) -> Result<RamRegion, Error> {
        let Range { gpa, bytes } = self.layout.reserved;
        let slice = self
            .mapped()
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
    _mapped: Arc<Mapped>,
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

fn map_files(nodes: &[NodeRange], files: &[Arc<File>]) -> io::Result<Mapped> {
    let mut mapped_bytes = vec![0; files.len()];
    let ranges = nodes.iter().map(|NodeRange { node, range }| {
        let node = *node as usize;
        let file = files.get(node).zip(mapped_bytes.get_mut(node)).map(|(file, mapped)| {
            let offset = std::mem::replace(mapped, *mapped + range.bytes);
            FileOffset::from_arc(Arc::clone(file), offset)
        });
        (GuestAddress(range.gpa), range.bytes as usize, file)
    });
    let memory = GuestMemoryMmap::from_ranges_with_files(ranges.collect::<Vec<_>>()).map_err(other)?;
    Ok(Mapped { memory, pages: Vec::new() })
}

fn map_private(ranges: &[NodeRange], all_pages: Vec<PrivatePages>) -> io::Result<Mapped> {
    let mut regions = Vec::new();
    for (NodeRange { range, .. }, pages) in ranges.iter().zip(&all_pages) {
        let start = pages.start().as_ptr();
        // SAFETY: mapped with this size, this protection, and privately; `Mapped` drops the region before the pages.
        let region = unsafe {
            MmapRegion::build_raw(start, range.bytes as usize, private_pages::PROTECTION, private_pages::FLAGS)
        };
        let region = GuestRegionMmap::new(region.map_err(other)?, GuestAddress(range.gpa));
        regions.push(region.ok_or(io::ErrorKind::AddrNotAvailable)?);
    }
    Ok(Mapped { memory: GuestMemoryMmap::from_regions(regions).map_err(other)?, pages: all_pages })
}

fn map_small_or_transparent(ranges: &[NodeRange]) -> io::Result<Vec<PrivatePages>> {
    ranges.iter().map(|node| PrivatePages::map(node.range.bytes as usize)).collect()
}

/// Maps the huge pages in which a snapshot's file has data over those of RAM, each node's range behind those before it.
fn share(snapshot: &File, ranges: &[NodeRange], all_pages: &[PrivatePages]) -> io::Result<()> {
    let mut start = 0;
    for (NodeRange { range, .. }, pages) in ranges.iter().zip(all_pages) {
        let end = start + range.bytes;
        for (offset, bytes) in snapshot::data_blocks(snapshot, start, end, HUGE_BYTES as u64)? {
            pages.share((offset - start) as usize, snapshot, offset, bytes as usize)?;
        }
        start = end;
    }
    Ok(())
}

fn placed_pages(ranges: &[NodeRange], plan: &Plan, report: &mut Report) -> io::Result<Vec<PrivatePages>> {
    let reserved: io::Result<Vec<_>> =
        ranges.iter().map(|node| PrivatePages::map_reserved(node.range.bytes as usize)).collect();
    // Bound before they are taken, which decides where they are.
    let taken = reserved.and_then(|pages| {
        let bound = bind(ranges, &pages, plan);
        pages.iter().try_for_each(PrivatePages::populate)?;
        Ok((pages, bound))
    });
    report.book(Part::HugePages, taken.as_ref().map(drop).map_err(|error| too_few_huge_pages(ranges, error)));
    let (pages, bound) = match taken {
        Ok(taken) => taken,
        Err(_) => {
            let pages = map_small_or_transparent(ranges)?;
            let bound = bind(ranges, &pages, plan);
            (pages, bound)
        }
    };
    report.book(Part::LocalMemory, bound);
    Ok(pages)
}

/// Binds the RAM of each node with CPUs to the host node of those.
fn bind(ranges: &[NodeRange], all_pages: &[PrivatePages], plan: &Plan) -> Result<(), String> {
    for (NodeRange { node, range }, pages) in ranges.iter().zip(all_pages) {
        // Behind those with CPUs are those without, whose RAM may be anywhere.
        let Some(host_node) = plan.nodes.get(*node as usize) else { continue };
        let Some(host_node) = *host_node else {
            return Err(format!("the vCPUs of node {node} are not on CPUs of one node of the host"));
        };
        bind_memory(pages.start(), range.bytes as usize, host_node)
            .map_err(|error| format!("mbind to node {host_node} of the host failed: {error}"))?;
    }
    Ok(())
}

fn too_few_huge_pages(ranges: &[NodeRange], error: &io::Error) -> String {
    let bytes: u64 = ranges.iter().map(|node| node.range.bytes).sum();
    let needed = bytes / private_pages::HUGE_BYTES as u64;
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free =
        meminfo.lines().find_map(|line| line.strip_prefix("HugePages_Free:")).map_or("an unknown number", str::trim);
    format!(
        "{needed} reserved huge pages of 2 MiB are needed and {free} are free: {error} (`sysctl vm.nr_hugepages` reserves \
         more; transparent huge pages are used instead)"
    )
}

fn other(error: impl std::error::Error) -> io::Error {
    io::Error::other(error.to_string())
}

fn anonymous_file(bytes: u64) -> io::Result<File> {
    let file = memfd::create(c"ktstr-ram")?;
    file.set_len(bytes)?;
    Ok(file)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use vm_memory::{Bytes, GuestMemoryRegion};

    const MIB: u64 = 1 << 20;

    const BACKINGS: [Backing; 2] = [Backing::SharedFiles, Backing::Private];

    /// RAM with nodes of these sizes, 64 MiB of it reserved.
    pub(crate) fn ram(nodes_mib: &[u64], backing: Backing) -> GuestRam {
        let bytes: Vec<u64> = nodes_mib.iter().map(|mib| mib * MIB).collect();
        let layout = RamLayout::new(&bytes, 64 * MIB).unwrap();
        let nodes: Vec<Node> = bytes.iter().map(|&memory_bytes| Node { llcs: 1, memory_bytes }).collect();
        GuestRam::new(layout, &nodes, backing).unwrap()
    }

    #[test]
    fn nodes_cover_everything_once() {
        for nodes in [&[512_u64][..], &[170, 170, 174], &[2500, 2500], &[256, 4096, 16, 2048]] {
            for backing in BACKINGS {
                let ram = ram(nodes, backing);
                let mapped: u64 = ram.mapped().iter().map(|region| region.len()).sum();
                assert_eq!(mapped, nodes.iter().sum::<u64>() * MIB, "{nodes:?}");
                assert_eq!(ram.node_bytes().iter().sum::<u64>(), mapped);
                assert_eq!(ram.files().len(), if backing == Backing::Private { 0 } else { nodes.len() });
            }
        }
    }

    #[test]
    fn reserved_range_is_guest_memory() {
        for backing in BACKINGS {
            let ram = ram(&[512], backing);
            let region = ram.reserved().unwrap();
            region.write(8, b"seen");
            let mut got = [0; 4];
            ram.mapped().read_slice(&mut got, GuestAddress(ram.layout().reserved.gpa + 8)).unwrap();
            assert_eq!(&got, b"seen");
        }
    }
}
