//! Why an image could not be made.

use std::io;
use std::path::PathBuf;

/// Why an image, or a closure of libraries, could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An input could not be opened or read.
    #[error("cannot read {} to pack it: {source}; check that it exists and that this user may read it", path.display())]
    Read {
        /// The input.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// An input is a directory, a device or the like.
    #[error("cannot pack {}: it is not a regular file; name a file", path.display())]
    NotAFile {
        /// The input.
        path: PathBuf,
    },
    /// A program or a library is neither ELF nor a script.
    #[error("cannot pack {} as a program: {why}; give an ELF program or a `#!` script, or add it as a plain file", path.display())]
    NotAProgram {
        /// The input.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A shared library, a program's loader or a script's interpreter is not there.
    #[error(
        "cannot find {name} ({chain}): looked in {looked}; install it, or correct the RUNPATH of what needs it, or set LD_LIBRARY_PATH"
    )]
    Missing {
        /// The library's or interpreter's name, as asked for.
        name: String,
        /// Who asked for it: `needed by libbar.so.2, needed by /path/prog`.
        chain: String,
        /// The places searched.
        looked: String,
    },
    /// A file changed between being looked at and being read.
    #[error("{} changed while it was being packed; wait until what writes it is done, then run again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than newc's 32-bit size field can say.
    #[error("cannot pack {}: {size_bytes} bytes, but the newc format holds files below 4 GiB; leave it out or make it smaller", path.display())]
    TooBig {
        /// The file.
        path: PathBuf,
        /// Its length.
        size_bytes: u64,
    },
    /// A guest path that cannot be used.
    #[error("cannot use {path:?} as a path in the guest: {why}")]
    BadGuestPath {
        /// The path.
        path: String,
        /// What is wrong with it, and what it should be.
        why: &'static str,
    },
    /// Two inputs want one guest path.
    #[error("{guest} in the guest would be both {first} and {second}; give one of them another guest path")]
    Conflict {
        /// The guest path.
        guest: String,
        /// What is there.
        first: String,
        /// What wants to be there too.
        second: String,
    },
    /// The archive could not be written.
    #[error("cannot write the image {}: {source}; free some space or point KTSTR_CACHE_DIR at another file system", path.display())]
    Write {
        /// The archive.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] ktstr_cache::Error),
}
