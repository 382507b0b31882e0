//! What objects are called, and their types.

use super::sys::{self, Words};
use std::io;
use std::os::fd::BorrowedFd;

/// A name as the kernel has it: at most 15 characters and a NUL (`BPF_OBJ_NAME_LEN`).
pub(super) fn name(bytes: &[u8; 16]) -> String {
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// `struct bpf_btf_info`, up to `id`.
#[repr(C)]
#[derive(Default)]
struct BtfInfo {
    address: u64,
    bytes: u32,
    id: u32,
}

// SAFETY: no padding; `btf_section` is the only one to make it, of a vector of the size that it states.
unsafe impl Words for BtfInfo {}

/// The `.BTF` section that was loaded into the kernel.
pub(crate) fn btf_section(fd: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    // Asked with room for nothing, the kernel says how much there is.
    let mut info = BtfInfo::default();
    sys::info(fd, &mut info)?;
    let mut section = vec![0; info.bytes as usize];
    info = BtfInfo { address: section.as_mut_ptr() as u64, bytes: info.bytes, id: 0 };
    sys::info(fd, &mut info)?;
    Ok(section)
}
