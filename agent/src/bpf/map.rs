//! Maps: which there are, what is known of them, and their type information.

use super::object::{btf_section, name};
use super::sys::{self, BTF_GET_FD_BY_ID, Id, MAP_GET_FD_BY_ID, MAP_GET_NEXT_ID, MAP_UPDATE_ELEM, Words};
use anyhow::{Context, Result};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `enum bpf_map_type`.
pub(crate) const STRUCT_OPS: u32 = 26;
/// Of `map_flags`: user space may map the values (`BPF_F_MMAPABLE`).
pub(super) const MMAPABLE: u32 = 1 << 10;

/// `struct bpf_map_info`, up to `btf_value_type_id`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct MapInfo {
    /// `enum bpf_map_type`.
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) key_bytes: u32,
    pub(crate) value_bytes: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    name: [u8; 16],
    ifindex: u32,
    /// In the BTF of the kernel: the type of a value of a `STRUCT_OPS` map.
    pub(crate) kernel_value_type_id: u32,
    netns_dev: u64,
    netns_ino: u64,
    /// Its own BTF; 0 for none.
    pub(super) btf_id: u32,
    btf_key_type_id: u32,
    pub(super) value_type_id: u32,
    unused: u32,
}

// SAFETY: words and bytes without padding, no addresses.
unsafe impl Words for MapInfo {}

impl MapInfo {
    /// At most 15 characters.
    pub(crate) fn name(&self) -> String {
        name(&self.name)
    }
}

/// What the kernel says of a map.
pub(crate) fn map_info(fd: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut info = MapInfo::default();
    sys::info(fd, &mut info)?;
    Ok(info)
}

/// A map of the kernel.
pub(super) struct Map {
    pub(super) fd: OwnedFd,
    pub(super) info: MapInfo,
}

/// What `BPF_MAP_*_ELEM` take.
#[repr(C)]
struct Element {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

// SAFETY: no padding; `update` is the only one to make it, and checks the sizes of what it points to.
unsafe impl Words for Element {}

impl Map {
    /// All maps that there are now.
    pub(super) fn all() -> Result<Vec<Self>> {
        let mut maps = Vec::new();
        for id in sys::ids(MAP_GET_NEXT_ID) {
            let id = id.context("cannot list the kernel's BPF maps (BPF_MAP_GET_NEXT_ID)")?;
            maps.extend(Self::open(id)?);
        }
        Ok(maps)
    }

    /// `None` for one that is gone by now.
    fn open(id: u32) -> Result<Option<Self>> {
        let fd = match sys::open(MAP_GET_FD_BY_ID, &mut Id { id, ..Id::default() }) {
            Ok(fd) => fd,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot open BPF map {id}")),
        };
        let info = map_info(fd.as_fd()).with_context(|| format!("cannot ask what BPF map {id} is"))?;
        Ok(Some(Self { fd, info }))
    }

    /// The `.BTF` section that its types are in.
    pub(super) fn btf(&self) -> Result<Vec<u8>> {
        let what = || format!("cannot read the BTF of BPF map {}", self.info.name());
        let fd = sys::open(BTF_GET_FD_BY_ID, &mut Id { id: self.info.btf_id, ..Id::default() }).with_context(what)?;
        btf_section(fd.as_fd()).with_context(what)
    }

    /// Sets an element, whether it is there or not. Key and value are as long as the kernel reads.
    pub(super) fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        debug_assert!(key.len() >= self.info.key_bytes as usize && value.len() >= self.info.value_bytes as usize);
        let mut element = Element {
            map_fd: self.fd.as_raw_fd() as u32,
            padding: 0,
            key: key.as_ptr() as u64,
            value: value.as_ptr() as u64,
            flags: 0,
        };
        sys::bpf(MAP_UPDATE_ELEM, &mut element).map(drop)
    }

    /// Its name and number, for messages.
    pub(super) fn label(&self) -> String {
        format!("{} (id {})", self.info.name(), self.info.id)
    }
}
