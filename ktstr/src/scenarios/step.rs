//! A step of a scenario: what is changed, and for how long that is watched.

use crate::scenarios::op::Op;
use ktstr_workload::CgroupDef;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A part of a scenario. First `setup` is made and its workers begin together, then `ops` are done, then it holds.
///
/// A step is a phase of the run: what workers measured while it holds is told by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The phase's name; without one it is `step 0`, `step 1` …
    pub name: Option<String>,
    /// Cgroups to make and fill.
    pub setup: Vec<CgroupDef>,
    /// What to do, in this order.
    pub ops: Vec<Op>,
    /// How long it lasts.
    pub hold: HoldSpec,
}

/// How long a step lasts, after its ops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum HoldSpec {
    /// This part of the test's duration, from 0 to 1.
    Frac(f64),
    /// This long.
    Fixed(Duration),
    /// As long as the other steps leave of the test's duration; several such steps share it. The step's ops are repeated
    /// until then, each time after this interval.
    Loop {
        /// From the end of one repetition to the beginning of the next.
        interval: Duration,
    },
}

impl Default for Step {
    /// The test's whole duration in which nothing is changed.
    fn default() -> Self {
        Self::new(HoldSpec::Frac(1.0))
    }
}

impl Step {
    /// A step in which nothing is changed.
    pub fn new(hold: HoldSpec) -> Self {
        Self { name: None, setup: Vec::new(), ops: Vec::new(), hold }
    }

    /// The phase's name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Cgroups to make and fill.
    #[must_use]
    pub fn setup(mut self, defs: impl IntoIterator<Item = CgroupDef>) -> Self {
        self.setup.extend(defs);
        self
    }

    /// What to do after that.
    #[must_use]
    pub fn ops(mut self, ops: impl IntoIterator<Item = Op>) -> Self {
        self.ops.extend(ops);
        self
    }
}
