//! Schedulers under test: what the host orders of the agent, what the agent tells of them, and what the program under
//! test may ask for meanwhile.
//!
//! A scheduler *run* is one scheduler from its start to its end; a test may have several, one after the other. They are
//! numbered from 0.

use crate::{ExitStatus, Stream};
use serde::{Deserialize, Serialize};

/// A scheduler that the agent can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerOrder {
    /// The name by which the test knows it.
    pub name: String,
    /// How it is started.
    pub start: SchedulerStart,
    /// The cgroup that must be there before it starts, below the root of the hierarchy.
    pub cgroup_parent: Option<String>,
    /// The kernel's watchdog takes a task for stalled after this long, in milliseconds (`timeout_ms` of `struct
    /// sched_ext_ops`), instead of after what the scheduler says.
    pub watchdog_timeout_ms: Option<u32>,
    /// The level of the verifier's logs to be taken while it loads; none are where it is 0.
    pub verifier_log_level: u32,
    /// How long it may take until the kernel has enabled it.
    pub load_deadline_ns: u64,
    /// The signal that asks a program to end.
    pub stop_signal: i32,
    /// How long it may take to end then; it is killed after that.
    pub stop_deadline_ns: u64,
}

/// How a scheduler is started and stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerStart {
    /// A program that loads a sched_ext scheduler, and unloads it when it ends.
    Program {
        /// The program, as a path in the unpacked payload, and its arguments.
        argv: Vec<String>,
        /// Its whole environment.
        env: Vec<(String, String)>,
    },
    /// Files of the kernel, such as those in `/sys/kernel/debug/sched/`, to which values are written.
    Builtin {
        /// Paths and values that turn it on.
        enable: Vec<(String, String)>,
        /// Paths and values that turn it off.
        disable: Vec<(String, String)>,
    },
}

/// What the agent tells of a scheduler, over the ring, in this order but for output, kernel lines and programs, which come
/// as they do. Times are nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerEvent {
    /// It is about to be started.
    Starting {
        /// The name of the order.
        name: String,
        /// When.
        at_ns: u64,
    },
    /// What the kernel did with one of its BPF programs, where verifier logs are taken.
    Program(ProgramLoad),
    /// A piece of the log of the program told of last, at most [`MAX_PIECE_BYTES`].
    ProgramLog(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The kernel says that it is enabled (`/sys/kernel/sched_ext/state`). Once more where its process loads it again by
    /// itself, after `Disabled`.
    Enabled {
        /// The name of its ops (`/sys/kernel/sched_ext/root/ops`); empty for one that is in the kernel.
        ops: String,
        /// Its process.
        pid: Option<i32>,
        /// When.
        at_ns: u64,
    },
    /// Output of its process, cut anywhere.
    Output {
        /// Which of its streams.
        stream: Stream,
        /// The bytes.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
    },
    /// A line of the kernel's log (`/dev/kmsg`) that came since it was started, without its prefix.
    Kernel {
        /// When the kernel said it.
        at_ns: u64,
        /// What it said, with the level in front: `3: sched_ext: …`.
        line: String,
    },
    /// Lines of the kernel's log that were not told; just before `Ended`, where there are any.
    KernelMissed {
        /// So many were left out because too many came; none of sched_ext's own and no warning, as long as they are few.
        left_out: u64,
        /// So many the kernel had overwritten before they could be read.
        overwritten: u64,
    },
    /// A timed write into its maps was made.
    MapWritten {
        /// Which one of [`crate::Run::map_writes`].
        number: u32,
        /// When.
        at_ns: u64,
    },
    /// The kernel disabled it, though nobody asked for it. Its process may live on for a while.
    Disabled {
        /// When that was seen.
        at_ns: u64,
    },
    /// It is gone: its process has ended, and the kernel has no scheduler enabled.
    Ended(SchedulerEnd),
}

/// How a scheduler's run came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulerEnd {
    /// When.
    pub at_ns: u64,
    /// Why.
    pub cause: EndCause,
    /// How its process ended, if it had one.
    pub status: Option<ExitStatus>,
    /// Whether it did not end by its signal and was killed.
    pub killed: bool,
    /// `/sys/kernel/sched_ext/state` afterwards; empty where the kernel has no such file.
    pub state: String,
}

/// Why a scheduler's run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    /// It could not be started, and this is why.
    NotStarted(String),
    /// It was not enabled in time.
    NotEnabled,
    /// By itself, or the kernel ended it.
    Itself,
    /// It was asked to: by the program under test, or because that had ended.
    Asked,
}

/// What the kernel did with one BPF program (bpf(2), `BPF_PROG_LOAD`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramLoad {
    /// Its name as the kernel knows it, at most 15 characters.
    pub name: String,
    /// The name of its function, whole, by its BTF; `None` where it has none.
    #[serde(default)]
    pub function: Option<String>,
    /// `BPF_PROG_TYPE_…` by its number.
    pub kind: u32,
    /// `expected_attach_type` by its number: `BPF_…` of `enum bpf_attach_type`, or the operation's place in its structure.
    #[serde(default)]
    pub attach_kind: u32,
    /// Its instructions as they are given to the kernel, subprograms included.
    #[serde(default)]
    pub insns: u32,
    /// 0, or the error number of the call.
    pub errno: i32,
    /// How long the call took, with the log.
    pub took_ns: u64,
    /// `verified_insns` of `BPF_OBJ_GET_INFO_BY_FD`, for one that was loaded.
    pub verified_insns: Option<u32>,
    /// `xlated_prog_len`, in bytes.
    pub xlated_bytes: u32,
    /// `jited_prog_len`, in bytes.
    pub jited_bytes: u32,
    /// Size of the log, which follows in pieces.
    pub log_bytes: u64,
    /// How many bytes of it the kernel could not give.
    pub log_lost_bytes: u64,
}

/// The most bytes of a [`SchedulerEvent::ProgramLog`].
pub const MAX_PIECE_BYTES: usize = 256 << 10;

/// A value to be written into a BPF map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapWrite {
    /// What is written to.
    pub target: MapTarget,
    /// The bytes, as they are in memory.
    #[serde(with = "serde_bytes")]
    pub value: Vec<u8>,
}

/// A place in a BPF map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapTarget {
    /// A global variable, by its name in the BTF of the maps `.bss` and `.data` of the scheduler.
    Variable(String),
    /// A whole element.
    Element {
        /// The map's name, at most 15 characters.
        map: String,
        /// The key, as it is in memory.
        #[serde(with = "serde_bytes")]
        key: Vec<u8>,
    },
}

/// When the agent writes into a map by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedMapWrite {
    /// How long after the start of the program under test.
    pub after_ns: u64,
    /// What.
    pub write: MapWrite,
}

/// What the program under test asks of the agent, over the socket of [`REQUEST_FD_ENV`], each way in frames of a
/// little-endian `u32` length and that many bytes. One request at a time; each has one [`SchedulerReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerRequest {
    /// Stop what runs, if anything does, and start the order of this number in [`crate::Run::schedulers`].
    Switch(u32),
    /// Stop what runs.
    Stop,
    /// Write into a map.
    Write(MapWrite),
}

/// What came of a [`SchedulerRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerReply {
    /// It is done; the process of the scheduler that runs now.
    Done {
        /// `None` where none runs, or it is in the kernel.
        pid: Option<i32>,
    },
    /// It could not be done, and this is why.
    Failed(String),
}

/// Environment variable that holds the number of the descriptor for [`SchedulerRequest`]s.
pub const REQUEST_FD_ENV: &str = "KTSTR_REQUEST_FD";

/// Environment variable that holds the process of the scheduler that runs when the program under test starts.
pub const SCHEDULER_PID_ENV: &str = "KTSTR_SCHEDULER_PID";

/// The most bytes that one request or reply may have.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
