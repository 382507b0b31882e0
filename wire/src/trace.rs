//! A trace of the guest's kernel while a scheduler runs: what the host orders, and what the agent tells of it over the ring.

use serde::{Deserialize, Serialize};

/// What is traced, into a ring of each CPU of which the newest part stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceOrder {
    /// Tracepoints of the kernel, as `SYSTEM/EVENT`, or `SYSTEM` for all of one.
    pub events: Vec<String>,
    /// Functions of the kernel whose calls are recorded, with their arguments where the kernel knows these.
    pub functions: Vec<String>,
    /// Whether the calls of the scheduler's BPF programs are recorded.
    pub programs: bool,
    /// What ends the trace; the first one that the kernel has is taken.
    pub stops: Vec<TraceStop>,
    /// Size of all rings together, in bytes of the kernel's own form.
    pub ring_bytes: u64,
    /// The most text that is told, in bytes; of more the newest part.
    pub most_text_bytes: u64,
}

/// An event that ends the trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStop {
    /// A tracepoint, `SYSTEM/EVENT`, or the name of one of [`TraceOrder::functions`].
    pub event: String,
    /// On which of its occurrences, as a filter of the kernel (Documentation/trace/events.rst, "Event filtering").
    pub when: String,
}

/// What the agent tells: all [`TraceEvent::Probe`]s and notes on what was set up, then the text, then the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceEvent {
    /// Something that was to be recorded, and whether it is.
    Probe(TraceProbe),
    /// Something else that could not be done.
    Note(String),
    /// A piece of the text of the trace file, cut anywhere, at most [`MAX_TEXT_BYTES`].
    Text(#[serde(with = "serde_bytes")] Vec<u8>),
    /// That was all, and everything has been taken back.
    Ended(TraceEnd),
}

/// One thing that is recorded, or should have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceProbe {
    /// What sort it is of.
    pub kind: TraceProbeKind,
    /// Its name: of the order, or a BPF program's.
    pub name: String,
    /// Why it is not recorded.
    pub error: Option<String>,
}

/// Sorts of what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceProbeKind {
    /// A tracepoint.
    Event,
    /// A function of the kernel.
    Function,
    /// A BPF program of the scheduler.
    Program,
}

/// How a trace ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEnd {
    /// When it was read.
    pub at_ns: u64,
    /// Whether what was to end it did; else it went on until the agent ended it.
    pub stopped: bool,
    /// Records that newer ones have overwritten, or that were lost.
    pub lost_records: u64,
    /// Bytes of older text that were not told.
    pub left_out_bytes: u64,
}

/// A call of a BPF program is an event `bpf_trace_printk`, and its text this, the program's name, and its first three arguments
/// in hexadecimal digits, each behind a space. What it has fewer are arbitrary numbers.
pub const PROGRAM_MARK: &str = "ktstr: ";

/// The most bytes of a [`TraceEvent::Text`].
pub const MAX_TEXT_BYTES: usize = 32 << 10;
