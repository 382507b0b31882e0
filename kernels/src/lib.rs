//! Kernels for tests: a *spec*, such as `latest` or `path:…`, becomes a cache entry with the kernel as an ELF file, its
//! configuration, and what is known of it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kernels = ktstr_kernels::Kernels::new(ktstr_cache::Cache::open_default()?);
//! let kernel = kernels.resolve(&"latest".parse()?, &())?;
//! kernel.require(&["SCHED_CLASS_EXT"])?;
//! println!("{} is at {}", kernel.meta.release, kernel.vmlinux().display());
//! # Ok(())
//! # }
//! ```
//!
//! Entries are `<cache>/kernels/<id>/` with `vmlinux`, `config`, `symbols` and `meta.json`. Answers that stay valid for a while are
//! files beside them, so a spec resolved before starts no process and reads two small files. Packages come through apt
//! with a private state in `<cache>/apt/`.

mod answers;
mod apt;
mod btf;
mod command;
mod compile;
pub mod deb;
mod error;
mod extract;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod install;
mod kallsyms;
mod kconfig;
mod kernel;
mod kernels;
mod local;
mod packaged;
mod progress;
mod sched_ext;
pub mod search_path;
mod spec;
mod symbols;
mod version;

pub use apt::Package;
pub use btf::BtfHealth;
pub use compile::FRAGMENT;
pub use error::Error;
pub use extract::{Error as ExtractError, extract};
pub use kconfig::Kconfig;
pub use kernel::{Kernel, Meta, Origin};
pub use kernels::{Clean, Kernels};
pub use progress::Progress;
pub use sched_ext::{SchedExtPart, SchedExtPrograms};
pub use spec::{Error as SpecError, Source, Spec};
pub use symbols::{Symbol, Symbols};
pub use version::{BadVersion, Version};
