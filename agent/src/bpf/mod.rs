//! bpf(2): what is in the kernel's BPF maps and programs, writing into maps, and probes of programs.
//!
//! Source of commands and structures: include/uapi/linux/bpf.h.

mod loaded;
mod map;
mod object;
mod probe;
pub(crate) mod prog;
mod sys;
mod variable;
mod write;

pub(crate) use loaded::struct_ops;
pub(crate) use map::{MapInfo, STRUCT_OPS, map_info};
pub(crate) use object::btf_section;
pub(crate) use probe::Probe;
pub(crate) use write::write;
