//! Programs that the kernel has, with their functions in their own type information.

use super::object::{btf_section, name};
use super::sys::{self, BTF_GET_FD_BY_ID, Id, PROG_GET_FD_BY_ID, PROG_GET_NEXT_ID, Words};
use anyhow::{Context, Result};
use ktstr_btf::Types;
use std::os::fd::{AsFd, OwnedFd};

/// `BPF_PROG_TYPE_STRUCT_OPS`.
const STRUCT_OPS: u32 = 27;

/// A program that others can be attached to.
pub(crate) struct Loaded {
    pub(super) fd: OwnedFd,
    /// Its name by its type information, whole.
    pub(crate) name: String,
    /// The number of its function there.
    pub(super) function: u32,
}

/// `struct bpf_prog_info`, up to `nr_line_info`.
#[repr(C)]
#[derive(Default)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    /// `jited_prog_len` to `map_ids`: 0 asks for none of them.
    unused: [u64; 6],
    name: [u8; 16],
    /// `ifindex` to `jited_func_lens`.
    unused_too: [u64; 6],
    btf_id: u32,
    func_info_bytes: u32,
    func_info: u64,
    func_infos: u32,
    line_infos: u32,
}

// SAFETY: words and bytes without padding; the one address in it is 0, or that of a function record of the size that is stated.
unsafe impl Words for Info {}

/// Where include/uapi/linux/bpf.h has them.
const _: () = assert!(
    std::mem::offset_of!(Info, name) == 64
        && std::mem::offset_of!(Info, btf_id) == 128
        && std::mem::offset_of!(Info, func_info) == 136
);

/// `struct bpf_func_info`.
#[repr(C)]
#[derive(Default)]
struct Function {
    insn_off: u32,
    type_id: u32,
}

/// All programs of `struct_ops` that there are now, schedulers' among them.
pub(crate) fn struct_ops() -> Result<Vec<Loaded>> {
    let mut programs = Vec::new();
    for id in sys::ids(PROG_GET_NEXT_ID) {
        let id = id.context("cannot list the kernel's BPF programs (BPF_PROG_GET_NEXT_ID)")?;
        let what = || format!("cannot ask what the BPF program {id} is");
        match sys::open(PROG_GET_FD_BY_ID, &mut Id { id, ..Id::default() }) {
            Ok(fd) => programs.extend(look(fd).with_context(what)?),
            // Gone by now.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error).with_context(what),
        }
    }
    Ok(programs)
}

/// The program, if it is one of `struct_ops` with type information.
fn look(fd: OwnedFd) -> Result<Option<Loaded>> {
    let mut info = Info::default();
    sys::info(fd.as_fd(), &mut info)?;
    if info.kind != STRUCT_OPS || info.btf_id == 0 || info.func_infos == 0 {
        return Ok(None);
    }
    let mut function = Function::default();
    let address = std::ptr::from_mut(&mut function) as u64;
    let (func_info_bytes, func_infos) = (size_of::<Function>() as u32, 1);
    let mut asked = Info { func_info_bytes, func_info: address, func_infos, ..Info::default() };
    sys::info(fd.as_fd(), &mut asked)?;
    let btf = sys::open(BTF_GET_FD_BY_ID, &mut Id { id: info.btf_id, ..Id::default() })?;
    let section = btf_section(btf.as_fd())?;
    let types = Types::parse(&section).context("cannot understand its BTF")?;
    let named = types.get(function.type_id).and_then(|found| types.name(&found).ok());
    Ok(Some(Loaded { fd, name: named.map_or_else(|| name(&info.name), str::to_owned), function: function.type_id }))
}
