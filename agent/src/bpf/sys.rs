//! The system call.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `enum bpf_cmd`.
pub(super) const MAP_UPDATE_ELEM: u32 = 2;
pub(super) const PROG_LOAD: u32 = 5;
pub(super) const PROG_GET_NEXT_ID: u32 = 11;
pub(super) const MAP_GET_NEXT_ID: u32 = 12;
pub(super) const PROG_GET_FD_BY_ID: u32 = 13;
pub(super) const MAP_GET_FD_BY_ID: u32 = 14;
const OBJ_GET_INFO_BY_FD: u32 = 15;
pub(super) const RAW_TRACEPOINT_OPEN: u32 = 17;
pub(super) const BTF_GET_FD_BY_ID: u32 = 19;

/// A structure of words that the kernel reads, and writes where the command says so.
///
/// # Safety
/// Any bytes are a value of the type, it has no padding, and the addresses in it are valid for what the kernel does with
/// them.
pub(super) unsafe trait Words {}

/// What `BPF_*_GET_NEXT_ID` and `BPF_*_GET_FD_BY_ID` take: `start_id` or an id, `next_id`, `open_flags`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Id {
    pub(super) id: u32,
    pub(super) next: u32,
    pub(super) flags: u32,
}

// SAFETY: three words of the same size, no addresses.
unsafe impl Words for Id {}

#[repr(C)]
struct Info {
    fd: u32,
    bytes: u32,
    address: u64,
}

// SAFETY: no padding; `info` is the only one to make it, of a borrowed structure.
unsafe impl Words for Info {}

/// Calls bpf(2).
pub(super) fn bpf<T: Words>(command: u32, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads and writes no more than the attribute's size, and all that it points to is valid, both by
    // the trait.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// Calls bpf(2) for a command that gives a descriptor.
pub(super) fn open<T: Words>(command: u32, attr: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attr)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The numbers of all objects of a kind, which a command such as [`PROG_GET_NEXT_ID`] goes through.
pub(super) fn ids(next: u32) -> impl Iterator<Item = io::Result<u32>> {
    let mut last = 0;
    std::iter::from_fn(move || {
        let mut at = Id { id: last, ..Id::default() };
        match bpf(next, &mut at) {
            Ok(_) => {
                last = at.next;
                Some(Ok(last))
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
            Err(error) => Some(Err(error)),
        }
    })
}

/// What the kernel says of an object. A kernel that knows less leaves the rest as it is.
pub(super) fn info<T: Words>(fd: BorrowedFd<'_>, into: &mut T) -> io::Result<()> {
    let address = std::ptr::from_mut(into) as u64;
    let mut attr = Info { fd: fd.as_raw_fd() as u32, bytes: size_of::<T>() as u32, address };
    bpf(OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}
