//! What can go wrong with cgroups and workers.

use crate::work_type::WorkType;
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
    /// A cgroup has no such setting.
    #[error("there is no {}: the kernel needs {option}, and the cgroup above must hand the controller down", path.display())]
    NoSetting {
        /// The file.
        path: PathBuf,
        /// What a kernel has it with.
        option: &'static str,
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
    /// Work that cannot be done.
    #[error("no worker can do {work_type:?}: {fault}")]
    BadWork {
        /// The work.
        work_type: WorkType,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Workers could not be made.
    #[error("cannot {doing} for the workers of {place}")]
    Spawn {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// Where the workers were to be.
        place: String,
        /// What came back.
        source: io::Error,
    },
    /// The kernel refused something about a worker.
    #[error("cannot {doing} of {worker}: {advice}")]
    Refused {
        /// The operation, as a verb phrase.
        doing: String,
        /// The worker.
        worker: String,
        /// What to do about it.
        advice: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// The kernel took something else than it was told, without an error.
    #[error("the {what} of {whom} was set to {asked} and is {got}: see whether something else changes it")]
    NotTaken {
        /// What was set.
        what: &'static str,
        /// The worker or cgroup.
        whom: String,
        /// What it was set to.
        asked: String,
        /// What it is.
        got: String,
    },
    /// A program that is not here.
    #[error(
        "there is no program {name:?} here: looked for {looked}. The test's attribute `programs = [{name:?}]` packs it"
    )]
    NoProgram {
        /// The program as given.
        name: String,
        /// Where it was looked for.
        looked: String,
    },
    /// A pattern that is none.
    #[error("the pattern {pattern:?} of the metric {metric} is no regular expression")]
    Pattern {
        /// Name of the metric.
        metric: String,
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        source: regex_lite::Error,
    },
    /// A program's name, argument or variable that the kernel cannot take.
    #[error("an argument or a variable of the program {program:?} has a zero byte in it")]
    ZeroByte {
        /// The program.
        program: String,
    },
    /// A worker ended by itself.
    #[error("{worker} ended before it was told to ({how})")]
    DiedEarly {
        /// The worker.
        worker: String,
        /// How.
        how: String,
    },
}
