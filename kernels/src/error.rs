//! Why no kernel could be had.

use crate::{apt, btf, compile, deb, extract};
use std::io;
use std::path::{Path, PathBuf};

/// Why a spec led to no usable kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] ktstr_cache::Error),
    /// The distribution's archive.
    #[error(transparent)]
    Apt(#[from] apt::Error),
    /// A package's contents.
    #[error(transparent)]
    Deb(#[from] deb::Error),
    /// A build.
    #[error(transparent)]
    Build(#[from] compile::Error),
    /// A file operation.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A file operation that changes the cache.
    #[error("cannot {doing} {}{}", path.display(), ktstr_cache::hint(source))]
    Write {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// No kernel in a file.
    #[error("{what} is not a kernel that can be booted")]
    Image {
        /// The file or package.
        what: String,
        /// Why not.
        source: extract::Error,
    },
    /// Type information that cannot be read.
    #[error("cannot judge the BTF of {what}")]
    Btf {
        /// The file or package.
        what: String,
        /// Why not.
        source: btf::Error,
    },
    /// Nothing has the name or version.
    #[error("no kernel for {spec:?}: looked for {looked}; {}", near_matches(near))]
    NotFound {
        /// The spec as written.
        spec: String,
        /// What was looked for, and where.
        looked: String,
        /// The nearest that exist.
        near: Vec<String>,
    },
    /// Every candidate for `latest` has a fault.
    #[error("no packaged kernel has sched_ext and sound BTF; tried {}; name one to use it all the same", tried.join("; "))]
    NoneSound {
        /// Each candidate with what is wrong with it.
        tried: Vec<String>,
    },
    /// A source spec where a ready kernel is needed.
    #[error("{spec:?} is kernel source: build it first with `kernel build {spec}`, then use the path: spec it prints")]
    NeedsBuild {
        /// The spec.
        spec: String,
    },
    /// `path:` or `host` with nothing there.
    #[error("found no kernel for {spec:?}: looked for {}", looked.join(", "))]
    NothingThere {
        /// The spec.
        spec: String,
        /// The files looked for.
        looked: Vec<String>,
    },
    /// A kernel that a test cannot use.
    #[error(
        "kernel {release} lacks {}: choose another kernel (`latest` has them), or build one with them",
        options.iter().map(|name| format!("CONFIG_{name}")).collect::<Vec<_>>().join(", ")
    )]
    Lacks {
        /// The kernel's release.
        release: String,
        /// The options, without `CONFIG_`.
        options: Vec<String>,
    },
    /// A kernel without a known configuration.
    #[error(
        "cannot tell whether kernel {release} has {}: its configuration is unknown; put it beside the kernel as .config or config-{release}",
        options.iter().map(|name| format!("CONFIG_{name}")).collect::<Vec<_>>().join(", ")
    )]
    ConfigUnknown {
        /// The kernel's release.
        release: String,
        /// The options, without `CONFIG_`.
        options: Vec<String>,
    },
    /// A kernel whose symbols are not known.
    #[error("the symbols of kernel {release} are unknown: choose a kernel with CONFIG_KALLSYMS, or see its warnings")]
    NoSymbols {
        /// The kernel's release.
        release: String,
    },
    /// A package of another kind.
    #[error("{packages} holds no kernel image: name a linux-image package")]
    NotAKernelPackage {
        /// The packages that were looked into.
        packages: String,
    },
    /// `clean` of an entry that is not there.
    #[error("no kernel {id:?} in the cache; there are: {}", if there.is_empty() { "none".to_owned() } else { there.join(", ") })]
    NotCached {
        /// The id asked for.
        id: String,
        /// The ids that exist.
        there: Vec<String>,
    },
    /// Two versions of this program at work on one cache.
    #[error(
        "the cache entry {id} keeps turning up in another format: another version of this program is using the cache; set KTSTR_CACHE_DIR apart"
    )]
    Contested {
        /// The entry.
        id: String,
    },
    /// An entry whose description does not parse.
    #[error("the cache entry {} is damaged: remove it", path.display())]
    Meta {
        /// The description's path.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
}

fn near_matches(near: &[String]) -> String {
    match near {
        [] => "nothing like it is there".to_owned(),
        near => format!("the nearest are {}", near.join(", ")),
    }
}

/// Names the failing operation of an [`io::Result`].
pub(crate) fn io_context<T>(result: io::Result<T>, doing: &'static str, path: &Path) -> Result<T, Error> {
    result.map_err(|source| Error::Io { doing, path: path.to_owned(), source })
}

/// Names the failing operation of an [`io::Result`] that changes the cache.
pub(crate) fn write_context<T>(result: io::Result<T>, doing: &'static str, path: &Path) -> Result<T, Error> {
    result.map_err(|source| Error::Write { doing, path: path.to_owned(), source })
}
