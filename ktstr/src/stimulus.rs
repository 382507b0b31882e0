//! What a scenario did, and when.

use serde::{Deserialize, Serialize};

/// One thing that happened to the workload, as the body saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stimulus {
    /// When it began, on the guest's `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// How long it took; nothing for a mark.
    pub took_ns: u64,
    /// What sort of thing.
    pub kind: StimulusKind,
    /// What, for a person: `SetCpuset cg_0 0-3`.
    pub text: String,
    /// Why it could not be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Sorts of [`Stimulus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StimulusKind {
    /// A phase of the scenario begins; it ends where the next one begins.
    Phase,
    /// An operation on cgroups, workers or CPUs.
    Op,
    /// A remark of the test's body.
    Note,
}
