//! What came of the checks.

use crate::facts::{CgroupFacts, CpuFacts, OwnTime};
use crate::verdict::{Finding, Window};
use ktstr_workload::WorkerReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the checks found, and what they looked at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AssertResult {
    /// What did not hold.
    pub findings: Vec<Finding>,
    /// What could not be checked, and why.
    pub inconclusive: Vec<String>,
    /// What the workers measured.
    pub reports: Vec<WorkerReport>,
    /// What they measured in each phase of the scenario.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseReports>,
    /// Named numbers, such as those that programs printed. Where several have one name, the second is `NAME#2`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
}

/// What workers measured in one phase of a scenario.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PhaseReports {
    /// The phase.
    pub phase: String,
    /// When its measuring began, on the guest's `CLOCK_MONOTONIC`: what the phase changes was changed by then.
    pub from_ns: u64,
    /// How long it was measured.
    pub length_ns: u64,
    /// What they measured in it.
    pub reports: Vec<WorkerReport>,
    /// The cgroups that were there at its end.
    #[serde(default)]
    pub cgroups: Vec<CgroupFacts>,
    /// Every CPU of the machine.
    #[serde(default)]
    pub cpus: Vec<CpuFacts>,
    /// When the scenario itself kept workers from a CPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own: Vec<OwnTime>,
}

impl PhaseReports {
    /// Whether all of the window is in the phase.
    pub(super) fn contains(&self, window: &Window) -> bool {
        let end_ns = window.from_ns.saturating_add(window.length_ns);
        self.from_ns <= window.from_ns && end_ns <= self.from_ns.saturating_add(self.length_ns)
    }
}

impl AssertResult {
    /// Both results in one.
    pub fn and(mut self, other: Self) -> Self {
        self.findings.extend(other.findings);
        self.inconclusive.extend(other.inconclusive);
        self.reports.extend(other.reports);
        self.phases.extend(other.phases);
        other.metrics.iter().for_each(|(name, value)| self.add_metric(name, *value));
        self
    }

    /// Adds a number to the metrics, beside those of the same name.
    pub fn add_metric(&mut self, name: &str, value: f64) {
        let numbered = (2..).map(|number| format!("{name}#{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !self.metrics.contains_key(name));
        self.metrics.extend(free.map(|name| (name, value)));
    }

    /// Adds a check of the test's own: what it returns of what was measured is added to the findings. One that finds too
    /// little to tell returns an error, which makes the run inconclusive.
    ///
    /// ```
    /// # use ktstr::prelude::*;
    /// # fn looks(result: AssertResult) -> AssertResult {
    /// result.check(|seen| {
    ///     let first = seen.reports.first().context("nobody reported")?;
    ///     Ok((first.migrations > 0).then(|| Finding::new("stays", "the first worker migrated")).into_iter().collect())
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn check(mut self, check: impl FnOnce(&Self) -> anyhow::Result<Vec<Finding>>) -> Self {
        match check(&self) {
            Ok(findings) => self.findings.extend(findings),
            Err(why) => self.inconclusive.push(format!("{why:#}")),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn own_checks_add_findings_and_doubts() {
        let result = AssertResult::default()
            .check(|_| Ok(vec![]))
            .check(|seen| Ok(vec![Finding::new("own", format!("{} reports", seen.reports.len()))]))
            .check(|_| Err(anyhow!("no socket").context("cannot tell")));
        assert_eq!(result.findings, [Finding::new("own", "0 reports")]);
        assert_eq!(result.inconclusive, ["cannot tell: no socket"]);
    }
}
