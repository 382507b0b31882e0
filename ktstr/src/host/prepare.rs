//! What a machine needs before it can be made: a kernel, the boot image, the payload.

use crate::host::agent::{AGENT, AGENT_STAMP};
use crate::host::programs::{self, MissingProgram};
use crate::host::progress::Bar;
use crate::host::schedulers::{self, Ready, SCHED_EXT_OPTIONS, SchedulerError};
use crate::spec::TestSpec;
use ktstr_cache::Cache;
use ktstr_initramfs::{Image, ImageSpec};
use ktstr_kernels::{Kernel, Kernels, Spec};
use std::path::Path;

/// Where the test binary is in the guest.
pub(crate) const GUEST_PROGRAM: &str = "/ktstr/test";

/// Kernel options without which the guest's user space cannot work, whatever the test. The last two tell
/// which CPUs a scheduling domain spans and what the nodes are; nothing else does.
pub const REQUIRED_OPTIONS: &[&str] = &[
    "BLK_DEV_INITRD",
    "DEVTMPFS",
    "TMPFS",
    "CGROUPS",
    "DEVMEM",
    "SERIAL_8250_CONSOLE",
    "KALLSYMS",
    "BINFMT_ELF",
    "SCHEDSTATS",
    "NUMA",
];

/// Why something is missing.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] ktstr_cache::Error),
    /// `KTSTR_KERNEL`.
    #[error("cannot understand the kernel spec {spec:?}")]
    Spec {
        /// As given.
        spec: String,
        /// What is wrong with it.
        source: ktstr_kernels::SpecError,
    },
    /// The kernel.
    #[error("cannot get the kernel {spec:?}")]
    Kernel {
        /// As given.
        spec: String,
        /// Why.
        source: ktstr_kernels::Error,
    },
    /// The kernel takes no scheduler.
    #[error(
        "the kernel {release} cannot run the scheduler {scheduler}: {complaint}; `cargo ktstr kernel list` shows those that are there"
    )]
    Btf {
        /// `uname -r`.
        release: String,
        /// The scheduler under test.
        scheduler: &'static str,
        /// What is wrong with it.
        complaint: String,
    },
    /// A program that the test runs.
    #[error(transparent)]
    Program(#[from] MissingProgram),
    /// A scheduler.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// An image.
    #[error("cannot make the {what}")]
    Image {
        /// Which one.
        what: &'static str,
        /// Why.
        source: ktstr_initramfs::Error,
    },
    /// The payload, once made, could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The kernel that `spec` names, fetched if need be, if it has what the test needs.
pub(crate) fn kernel(cache: &Cache, spec: &str, test: &TestSpec) -> Result<Kernel, PrepareError> {
    let parsed: Spec = spec.parse().map_err(|source| PrepareError::Spec { spec: spec.to_owned(), source })?;
    let failed = |source| PrepareError::Kernel { spec: spec.to_owned(), source };
    let kernel = Kernels::new(cache.clone()).resolve(&parsed, &Bar::default()).map_err(failed)?;
    // Where the configuration is unknown, the guest itself tells what it lacks.
    if kernel.meta.config_hash.is_some() {
        let for_scheduler = if has_sched_ext(test) { SCHED_EXT_OPTIONS } else { &[] };
        kernel.require(&[REQUIRED_OPTIONS, for_scheduler].concat()).map_err(failed)?;
    }
    match kernel.meta.btf.complaint().filter(|_| has_sched_ext(test)) {
        Some(complaint) => {
            let release = kernel.meta.release.clone();
            Err(PrepareError::Btf { release, scheduler: test.scheduler.name, complaint })
        }
        None => Ok(kernel),
    }
}

fn has_sched_ext(test: &TestSpec) -> bool {
    schedulers::wanted(test).any(|scheduler| scheduler.binary.is_program())
}

/// The boot image: the agent and nothing else.
///
/// # Errors
/// [`PrepareError::Image`].
pub fn boot_image(cache: &Cache) -> Result<Image, PrepareError> {
    let spec = ImageSpec::new().dir("/dev").node("/dev/console", 0o600, 5, 1);
    let spec = spec.stamped_bytes("/init", 0o755, AGENT, AGENT_STAMP);
    spec.build(cache).map_err(|source| PrepareError::Image { what: "boot image", source })
}

/// The payload: the test binary, the programs that its test runs, its schedulers, and the libraries that they need.
pub(crate) fn payload(
    cache: &Cache,
    test: &Path,
    programs: &[&str],
    schedulers: &[Ready],
    kernel: &Kernel,
) -> Result<Image, PrepareError> {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let mut spec = ImageSpec::new().program(test, GUEST_PROGRAM);
    for name in programs {
        let host = programs::find(name, &search_path)?;
        let guest = programs::guest_path(&host);
        spec = spec.program(host, guest);
    }
    for (host, guest) in schedulers.iter().filter_map(|ready| ready.program.as_ref()) {
        spec = spec.program(host, guest);
    }
    if !schedulers.is_empty() {
        spec = with_kernel_config(spec, kernel);
    }
    spec.build(cache).map_err(|source| PrepareError::Image { what: "payload", source })
}

/// The same with the kernel's configuration, where that is known. libbpf looks for it there when a BPF program refers to an
/// option, as scx_central of Linux 7.3 does, and distributions' kernels have no `/proc/config.gz`.
pub fn with_kernel_config(image: ImageSpec, kernel: &Kernel) -> ImageSpec {
    match kernel.meta.config_hash {
        Some(_) => image.file(kernel.config(), format!("/boot/config-{}", kernel.meta.release), 0o644),
        None => image,
    }
}
