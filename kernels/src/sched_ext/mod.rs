//! The kernel's own sched_ext programs, built from the distribution's source for a kernel in the cache: the schedulers of
//! `tools/sched_ext`, and the runner of `tools/testing/selftests/sched_ext`.
//!
//! Both are coupled to their kernel, so they come from the source of the same version where the archive has it. They are
//! compiled against the BTF of the kernel that they are for, which need not be the one that this machine runs.

mod build;
mod clang;
mod source;

use crate::compile;
use crate::error::{Error, io_context, write_context};
use crate::hash;
use crate::kernel::Kernel;
use crate::kernels::{Kernels, entry_id};
use crate::progress::Progress;
use crate::version::Version;
use clang::Clang;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// The kind of cache entry that they are.
pub(crate) const KIND: &str = "sched_ext";

/// What they were built of, as text for a person.
const ORIGIN_FILE: &str = "built-from";

/// What of the kernel's source is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedExtPart {
    /// `tools/sched_ext`: `scx_simple`, `scx_qmap`, `scx_central`, `scx_flatcg` and what else the version has.
    Schedulers,
    /// `tools/testing/selftests/sched_ext`: `runner`.
    Selftests,
}

impl fmt::Display for SchedExtPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Schedulers => "schedulers",
            Self::Selftests => "selftests",
        })
    }
}

/// Programs that were built for a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchedExtPrograms {
    /// The programs' paths, in the order of their names.
    pub programs: Vec<PathBuf>,
    /// The version of the source that they were built of; `None` when its package does not tell.
    pub source_version: Option<Version>,
    /// Source and compiler, such as `linux-source-7.3 7.3.4-1~bpo13+1, Debian clang version 22.1.8`.
    pub origin: String,
}

impl Kernels {
    /// The kernel's own sched_ext programs for `kernel`, built into the cache when they are not there yet. Without source
    /// of the kernel's own version the nearest is taken, and `progress` is told.
    ///
    /// # Errors
    /// [`Error::Build`] with what is not installed, or with the last lines of make; [`Error::NotFound`] when the archive
    /// has no source that could fit; and the errors on the way to it.
    pub fn sched_ext(
        &self,
        kernel: &Kernel,
        part: SchedExtPart,
        progress: &dyn Progress,
    ) -> Result<SchedExtPrograms, Error> {
        build::require_tools(part)?;
        let clang = Clang::find()?;
        let source = source::find(self, kernel, progress)?;
        let origin = format!("{}, {}", source.name(), clang.version);
        let key = format!("{} {}\n{}\n{origin}", build::RECIPE, source.hash(), compile::version("gcc")?);
        let id = entry_id(&format!("{}.{part}", kernel.id), &hash::of_bytes(key.as_bytes()));
        let dir = self.cache.get_or_make(KIND, &id, |dir| {
            clang.warn_of_faults(progress);
            let work = dir.join("work");
            write_context(fs::create_dir(&work), "create the directory", &work)?;
            build::build(self, &source, part, &kernel.vmlinux(), &clang, dir, progress)?;
            let path = dir.join(ORIGIN_FILE);
            write_context(fs::write(&path, &origin), "write", &path)?;
            write_context(fs::remove_dir_all(&work), "remove the build tree", &work)
        })?;
        let bin = dir.join(build::BIN);
        let found = io_context(fs::read_dir(&bin), "read the directory", &bin)?;
        let mut programs: Vec<PathBuf> = found.filter_map(Result::ok).map(|entry| entry.path()).collect();
        programs.sort();
        Ok(SchedExtPrograms { programs, source_version: source.version(), origin })
    }

    /// Removes the programs built for a kernel, or for all.
    pub(crate) fn remove_sched_ext(&self, kernel_id: Option<&str>) -> Result<(), Error> {
        let prefix = kernel_id.map(|id| format!("{id}.")).unwrap_or_default();
        let ids = self.cache.list(KIND)?;
        ids.iter().filter(|id| id.starts_with(&prefix)).try_for_each(|id| Ok(self.cache.remove(KIND, id)?))
    }
}
