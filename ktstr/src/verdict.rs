//! What a test run says in the end.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The outcome of a test. Only [`Verdict::Pass`] is success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// Everything that was asserted was measured and held.
    Pass,
    /// Something that was asserted did not hold.
    Fail {
        /// What, in the order in which it was found.
        findings: Vec<Finding>,
    },
    /// The test does not apply here.
    Skip {
        /// Why.
        reason: String,
    },
    /// It could not be told.
    Inconclusive {
        /// Why.
        reason: String,
    },
}

/// One thing that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asserted, by the name of the assertion.
    pub asserted: String,
    /// What was measured instead, with its place and time.
    pub measured: String,
    /// What shows it: samples, console lines.
    pub evidence: Vec<String>,
    /// The phase of the scenario in which it was, where it was in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// When and where the guest was without CPU time, for a finding that a starved vCPU could explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A stretch of guest time in which something did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The CPU on which it should have run, or any.
    pub cpu: Option<u32>,
    /// Beginning, on the guest's `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    /// Length.
    pub length_ns: u64,
    /// The length that would have been no finding.
    pub tolerable_ns: u64,
}

impl Finding {
    /// A finding without evidence beyond what was measured.
    pub fn new(asserted: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { asserted: asserted.into(), measured: measured.into(), evidence: Vec::new(), phase: None, window: None }
    }

    /// The same with the window in which it happened.
    pub fn within(mut self, window: Window) -> Self {
        self.window = Some(window);
        self
    }

    /// The same with evidence.
    pub fn with_evidence(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(lines);
        self
    }
}

impl Verdict {
    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail { .. } => "Fail",
            Self::Skip { .. } => "Skip",
            Self::Inconclusive { .. } => "Inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::Skip { reason } | Self::Inconclusive { reason } => write!(f, "{}: {reason}", self.word()),
            Self::Fail { findings } => {
                f.write_str("Fail")?;
                for finding in findings {
                    write!(f, "\n  {finding}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.asserted)?;
        if let Some(phase) = &self.phase {
            write!(f, "in phase {phase}: ")?;
        }
        f.write_str(&self.measured)?;
        for line in &self.evidence {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}
