//! Work whose memory moves between NUMA nodes.

use super::memory::touch;
use super::system::{Memory, done};
use crate::meter::Meter;
use std::io;
use std::ptr::null_mut;

/// Nodes that a mask here has room for; kernels have at most 1024 (include/linux/numa.h, `MAX_NUMNODES`).
const MAX_NODES: usize = 1024;
/// From include/uapi/linux/mempolicy.h.
const MPOL_PREFERRED: i64 = 1;
const MPOL_F_MEMS_ALLOWED: i64 = 1 << 2;
const MPOL_MF_MOVE: i64 = 1 << 1;
/// Words in a page of 4 KiB, the smallest there is.
const PAGE_WORDS: usize = 512;
/// Pages that are touched in a unit of work.
const PAGES_PER_UNIT: usize = 256;

type Mask = [u64; MAX_NODES / 64];

pub(super) fn migrate(meter: &mut Meter<'_>, bytes: u64) -> io::Result<()> {
    let mut memory = Memory::new(bytes)?;
    let nodes = usable_nodes();
    let mut node = 0;
    while meter.goes_on() {
        if let Some(nodes) = &nodes {
            node = next(nodes, node);
            // A node without free memory keeps the pages where they are.
            move_to(memory.words(), node)?;
        }
        for unit in memory.words().chunks_mut(PAGES_PER_UNIT * PAGE_WORDS) {
            meter.unit_of(|| touch(unit, PAGE_WORDS));
        }
        meter.iteration();
    }
    Ok(())
}

/// The nodes that this process may use, if there are several: a kernel without CONFIG_NUMA has none of these calls.
fn usable_nodes() -> Option<Mask> {
    let mut nodes: Mask = [0; MAX_NODES / 64];
    // SAFETY: a mask with room for this many nodes, and no address, because the flag asks for none.
    let got = unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            null_mut::<i32>(),
            nodes.as_mut_ptr(),
            MAX_NODES,
            null_mut::<u8>(),
            MPOL_F_MEMS_ALLOWED,
        )
    };
    let several = nodes.iter().map(|word| word.count_ones()).sum::<u32>() > 1;
    (got == 0 && several).then_some(nodes)
}

/// The node after this one, of a mask that is not empty.
fn next(nodes: &Mask, node: usize) -> usize {
    let has = |node: &usize| nodes[node / 64] >> (node % 64) & 1 != 0;
    (node + 1..MAX_NODES).chain(0..=node).find(has).unwrap_or(node)
}

fn move_to(words: &mut [u64], node: usize) -> io::Result<()> {
    let mut mask: Mask = [0; MAX_NODES / 64];
    mask[node / 64] = 1 << (node % 64);
    // SAFETY: the range is a mapping of our own, whose contents stay; the kernel takes one node less than it is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mbind,
            words.as_mut_ptr(),
            size_of_val(words),
            MPOL_PREFERRED,
            mask.as_ptr(),
            MAX_NODES + 1,
            MPOL_MF_MOVE,
        )
    };
    done(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_one_after_the_other() {
        let mut nodes: Mask = [0; MAX_NODES / 64];
        nodes[0] = 0b101;
        nodes[1] = 1;
        assert_eq!([0, 1, 2, 64, 1023].map(|node| next(&nodes, node)), [2, 2, 64, 0, 0]);
    }
}
