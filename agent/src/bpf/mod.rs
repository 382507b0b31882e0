//! bpf(2): what is in the kernel's BPF maps and programs, and writing into maps.
//!
//! Source of commands and structures: include/uapi/linux/bpf.h.

mod map;
mod object;
pub(crate) mod prog;
mod sys;
mod variable;
mod write;

pub(crate) use map::{MapInfo, STRUCT_OPS, map_info};
pub(crate) use object::btf_section;
pub(crate) use write::write;
