//! Programs.

use super::object::name;
use super::sys::{self, Words};
use std::io;
use std::os::fd::BorrowedFd;

/// What the kernel says of a loaded program.
pub(crate) struct ProgInfo {
    /// At most 15 characters.
    pub(crate) name: String,
    /// `BPF_PROG_TYPE_*`.
    pub(crate) kind: u32,
    pub(crate) verified_insns: u32,
    pub(crate) xlated_bytes: u32,
    pub(crate) jited_bytes: u32,
}

/// `struct bpf_prog_info`, up to `verified_insns`.
#[repr(C)]
#[derive(Default)]
struct Raw {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    /// `jited_prog_insns` to `nr_map_ids`, `map_ids`: 0 asks for none of them.
    unused: [u64; 5],
    name: [u8; 16],
    /// `ifindex` to `recursion_misses`.
    unused_too: [u64; 17],
    verified_insns: u32,
    attach_btf_obj_id: u32,
}

// SAFETY: words and bytes without padding; the addresses in it are all 0, with lengths of 0.
unsafe impl Words for Raw {}

/// Where include/uapi/linux/bpf.h has it.
const _: () = assert!(std::mem::offset_of!(Raw, verified_insns) == 216 && std::mem::offset_of!(Raw, name) == 64);

/// What the kernel says of a program.
pub(crate) fn prog_info(fd: BorrowedFd<'_>) -> io::Result<ProgInfo> {
    let mut raw = Raw::default();
    sys::info(fd, &mut raw)?;
    Ok(ProgInfo {
        name: name(&raw.name),
        kind: raw.kind,
        verified_insns: raw.verified_insns,
        xlated_bytes: raw.xlated_prog_len,
        jited_bytes: raw.jited_prog_len,
    })
}
