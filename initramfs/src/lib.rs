//! What runs in the guest, packed: the boot image and the payload.
//!
//! Both are uncompressed newc archives (kernel Documentation/driver-api/early-userspace/buffer-format.rst). An
//! [`ImageSpec`] lists programs, files, directories, links and device nodes; [`ImageSpec::build`] adds the shared
//! libraries that the programs' loader would find (ld.so(8)), leaves debug information out, and gives a cached [`Image`].
//! The bytes of an image depend on contents and guest paths alone, so equal inputs make bit-identical archives.
//!
//! Read in this order: [`ImageSpec`] (`spec`), `layout` (which guest path holds what), `closure` and `search` (the
//! loader's rules), `pack` and `strip` (contents), `archive` (the format), `recipe` (what makes the warm path warm).

mod archive;
mod closure;
mod elf;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod layout;
mod ldcache;
mod observed;
mod pack;
mod recipe;
mod script;
mod search;
mod spec;
mod strip;
mod sysroot;
#[cfg(test)]
mod testelf;
mod trim;

pub use closure::{Library, Via, closure};
pub use error::Error;
pub use spec::{Image, ImageSpec};
pub use sysroot::Sysroot;
