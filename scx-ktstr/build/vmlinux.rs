//! The kernel whose types the BPF code is compiled with. Any with sched_ext will do: what differs in the running one is
//! looked up when the object is loaded.

use anyhow::{Context, Result};
use ktstr_cache::Cache;
use ktstr_kernels::{Kernel, Kernels, Progress, Spec};
use std::env;
use std::path::PathBuf;

/// The file that `KTSTR_VMLINUX` names, or the newest sound kernel of the cache. With none there, the newest packaged one
/// comes into the cache, as it does for the first test that is run.
///
/// # Errors
/// When no kernel can be had, with what to do.
pub(crate) fn find() -> Result<PathBuf> {
    for name in ["KTSTR_VMLINUX", "KTSTR_CACHE_DIR"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Some(path) = env::var_os("KTSTR_VMLINUX").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let kernel = cached_or_fetched().context(
        "vmlinux.h is made from a kernel's BTF, and no kernel with sched_ext is in the cache or can be fetched: run \
         `cargo xtask kernel fetch latest`, or set KTSTR_VMLINUX to a vmlinux or to /sys/kernel/btf/vmlinux",
    )?;
    Ok(kernel.vmlinux())
}

fn cached_or_fetched() -> Result<Kernel> {
    let kernels = Kernels::new(Cache::open_default()?);
    match kernels.list()?.into_iter().rfind(|kernel| kernel.meta.is_sound()) {
        Some(kernel) => Ok(kernel),
        None => Ok(kernels.resolve(&Spec::Latest, &Log)?),
    }
}

/// Progress in the build script's output, which cargo shows when the build fails.
struct Log;

impl Progress for Log {
    fn step(&self, what: &str) {
        eprintln!("{what}");
    }
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
    fn warn(&self, what: &str) {
        eprintln!("warning: {what}");
    }
}
