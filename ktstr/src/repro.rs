//! What a record says of a crash of the scheduler that was looked at once more.

use crate::scheduler::SchedulerClass;
use ktstr_wire::trace::{TraceEnd, TraceProbe};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A second run of a test whose scheduler crashed, with the same seed and a trace of the kernel (`auto_repro`). The test's
/// verdict is that of the first run, whatever came of this one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Repro {
    /// How the first run crashed.
    pub crash: Crash,
    /// What came of the second one.
    pub outcome: ReproOutcome,
    /// Whether a run follows from its seed; else there may be no second crash, or another one.
    pub deterministic: bool,
    /// What was recorded, and what could not be.
    pub probes: Vec<TraceProbe>,
    /// What else could not be done.
    pub notes: Vec<String>,
    /// How the trace ended; `None` where that was not told, as when the machine went down.
    pub end: Option<TraceEnd>,
    /// What the kernel named in the crash.
    pub focus: Focus,
    /// When the task of the focus last left a CPU, by the trace.
    pub last_switch: Option<TracedEvent>,
    /// The end of the trace, and before it only what is about the task or the queue of the focus.
    pub events: Vec<TracedEvent>,
    /// Events that were told and are not among these.
    pub events_left_out: u64,
}

/// A crash of a scheduler, in the kernel's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The scheduler by its name in the test; empty where the kernel itself complained.
    pub scheduler: String,
    /// Of what sort it was; `None` where the kernel itself complained.
    pub class: Option<SchedulerClass>,
    /// The kernel's number, see [`SchedulerExit::kind`](crate::SchedulerExit::kind).
    pub kind: Option<u32>,
    /// The kernel's message, or what its complaint was.
    pub message: String,
}

/// What came of the second run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "came", rename_all = "snake_case")]
pub enum ReproOutcome {
    /// A crash of the same scheduler and class, and with the same number.
    Again {
        /// This crash.
        crash: Crash,
        /// Whether the message was the same but for its numbers.
        same_words: bool,
    },
    /// Another crash.
    Otherwise {
        /// This crash.
        crash: Crash,
    },
    /// No crash.
    NotAgain,
    /// The second run could not be made, or not to its end.
    Failed {
        /// Why.
        why: String,
    },
}

/// What the kernel named in a crash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Focus {
    /// The task that did not run, or in which the scheduler failed.
    pub task: Option<FocusTask>,
    /// The CPU on which the kernel noticed.
    pub cpu: Option<u32>,
    /// The number of the dispatch queue.
    pub dsq: Option<u64>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FocusTask {
    /// Its name.
    pub comm: String,
    /// Its number.
    pub pid: i32,
}

/// One event of the trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedEvent {
    /// When, on the guest's `CLOCK_MONOTONIC`, to a microsecond.
    pub at_ns: u64,
    /// The CPU that it was on.
    pub cpu: u32,
    /// The task that ran there.
    pub comm: String,
    /// Its number.
    pub pid: i32,
    /// Name of the tracepoint, the kernel's function or the BPF program.
    pub event: String,
    /// What the kernel prints of its fields.
    pub args: String,
}

impl Repro {
    /// What came of it, in a line or two.
    pub fn summary(&self) -> String {
        let recorded = self.probes.iter().filter(|probe| probe.error.is_none()).count();
        let events = self.events.len();
        let trace = format!("the record has {events} events of {recorded} probes");
        let chance = if self.deterministic { "" } else { ", which may be chance: here no run is like another" };
        let mut text = match &self.outcome {
            ReproOutcome::Again { crash, same_words } => {
                let how = if *same_words { "in the same way" } else { "alike" };
                format!("failed again {how} when it was traced: {crash}; {trace}")
            }
            ReproOutcome::Otherwise { crash } => format!("failed otherwise when it was traced: {crash}; {trace}"),
            ReproOutcome::NotAgain => format!("did not fail again when it was traced{chance}; {trace}"),
            ReproOutcome::Failed { why } => format!("could not be run again with a trace: {why}"),
        };
        if let Some(switch) = &self.last_switch {
            text.push_str(&format!("\n{}", last_switch(&self.focus, switch)));
        }
        text
    }
}

/// `worker[113] last left CPU 0 at 6.975000 s`.
fn last_switch(focus: &Focus, switch: &TracedEvent) -> String {
    let task = focus.task.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{task} last left CPU {} at {:.6} s", switch.cpu, switch.at_ns as f64 / 1e9)
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.class {
            Some(class) if self.message.is_empty() => write!(f, "{class}"),
            Some(class) => write!(f, "{class} ({})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for FocusTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.comm, self.pid)
    }
}

impl fmt::Display for TracedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ns, cpu, comm, pid, event, args } = self;
        write!(f, "{:>13.6} {cpu:03} {:>22} {event}: {args}", *at_ns as f64 / 1e9, format!("{comm}[{pid}]"))
    }
}
