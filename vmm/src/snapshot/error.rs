//! Why there is no snapshot, or why one cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no snapshot, or why one cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("cannot {action} {} of a snapshot: {source}", path.display())]
    File {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// The manifest is damaged, or another version's.
    #[error("{} does not describe a snapshot: {why}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// It is one of another machine.
    #[error("the snapshot {} is of another machine: of {found:?}, and {wanted:?} is wanted", dir.display())]
    Identity {
        /// The snapshot.
        dir: PathBuf,
        /// The first line of its identity that is another.
        found: String,
        /// The line that was asked for.
        wanted: String,
    },
    /// A file is shorter or longer than it was.
    #[error("{} is damaged: it has {found_bytes} bytes and had {bytes}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// What it was.
        bytes: u64,
    },
    /// A file has other content than it had.
    #[error("{} is damaged: its checksum is {found} and was {expected}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Of its content.
        found: String,
        /// What it was.
        expected: String,
    },
    /// The machine has more or less RAM.
    #[error("the snapshot {} has {found_bytes} bytes of RAM, and the machine that is to go on from it has {machine_bytes}", dir.display())]
    OtherRam {
        /// The snapshot.
        dir: PathBuf,
        /// What it has.
        found_bytes: u64,
        /// What the machine has.
        machine_bytes: u64,
    },
    /// The guest's memory could not be read.
    #[error("cannot read the guest's memory at {gpa:#x}: {why}")]
    GuestMemory {
        /// Guest-physical address.
        gpa: u64,
        /// What came back.
        why: String,
    },
    /// What the guest wrote first is gone.
    #[error("the guest has written so much to {port} that its beginning is not kept any more: take a snapshot earlier")]
    LogGone {
        /// `COM1` or `COM2`.
        port: &'static str,
    },
    /// Too early or too late.
    #[error("cannot {action}: the machine {state}")]
    State {
        /// What was to be done.
        action: &'static str,
        /// Why that is not possible.
        state: String,
    },
}

impl Error {
    /// A closure for `map_err` on the results of file operations.
    pub(super) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}
