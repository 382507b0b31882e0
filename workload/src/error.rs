//! What can go wrong with cgroups and workers.

use ktstr_wire::Topology;
use std::io;
use std::path::PathBuf;

/// Why a workload could not be set up or measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A cgroup file or directory operation failed.
    #[error("cannot {doing} {}", path.display())]
    Cgroup {
        /// The operation, as a verb phrase.
        doing: String,
        /// What it was done to.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A name that is no plain cgroup path.
    #[error("{name:?} cannot name a cgroup: use path components without `.` or `..`, separated by `/`")]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A part of the machine that it does not have.
    #[error("{what} names no CPUs of a machine with topology {topology}")]
    NoCpus {
        /// The part, as given.
        what: String,
        /// The machine's CPUs.
        topology: Topology,
    },
    /// There is no memory for what workers and their parent share.
    #[error("cannot map the memory that workers and their parent share")]
    SharedMemory(#[source] io::Error),
    /// A worker could not be made.
    #[error("cannot {doing} for worker {index} of cgroup {cgroup}")]
    Spawn {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// The worker's number in its cgroup.
        index: u32,
        /// The cgroup.
        cgroup: String,
        /// What came back.
        source: io::Error,
    },
    /// A worker ended by itself.
    #[error("worker {pid} of cgroup {cgroup} ended before it was told to (wait status {status:#x})")]
    DiedEarly {
        /// The worker.
        pid: i32,
        /// The cgroup.
        cgroup: String,
        /// As waitpid(2) gives it.
        status: i32,
    },
}
