//! What the test binary tells the host, in frames that each are small whatever the test does.

use crate::assert::{AssertResult, PhaseReports};
use crate::facts::{CgroupFacts, CpuFacts, OwnTime};
use crate::stimulus::Stimulus;
use anyhow::{Result, ensure};
use ktstr_wire::frames;
use ktstr_wire::message::MAX_REPORT_BYTES;
use ktstr_workload::WorkerReport;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

/// One report frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Frame {
    /// Something happened to the workload.
    Stimulus(Stimulus),
    /// A phase of the scenario, without what workers measured in it.
    Phase(PhaseFacts),
    /// What a worker measured; `phase` counts the phases before it, and is none for the whole run.
    Worker { phase: Option<usize>, report: Box<WorkerReport> },
    /// What the body came to. Nothing follows it.
    Outcome(Outcome),
}

/// [`PhaseReports`] without the reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PhaseFacts {
    phase: String,
    from_ns: u64,
    length_ns: u64,
    cgroups: Vec<CgroupFacts>,
    cpus: Vec<CpuFacts>,
    own: Vec<OwnTime>,
}

/// What the body came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// It returned a result; phases and what workers measured came before it, each in a frame of its own.
    Finished(AssertResult),
    /// It returned an error.
    Error(String),
    /// It panicked.
    Panicked(String),
}

/// Sends frames to the host, from any thread.
#[derive(Debug)]
pub(crate) struct Reporter(Mutex<File>);

impl Reporter {
    /// One that writes to the agent's pipe.
    pub(crate) fn new(report: File) -> Self {
        Self(Mutex::new(report))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When it is too large, or the agent does not take it.
    pub(crate) fn send(&self, frame: &Frame) -> Result<()> {
        let payload = serde_json::to_vec(frame)?;
        let bytes = payload.len();
        ensure!(bytes <= MAX_REPORT_BYTES, "a report of {bytes} bytes is larger than the {MAX_REPORT_BYTES} allowed");
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&frames::frame(&payload))?;
        Ok(())
    }

    /// Sends the outcome and, before it, what it has of phases and workers.
    pub(super) fn send_outcome(&self, mut outcome: Outcome) -> Result<()> {
        if let Outcome::Finished(result) = &mut outcome {
            self.send_reports(None, std::mem::take(&mut result.reports))?;
            for (number, mut phase) in std::mem::take(&mut result.phases).into_iter().enumerate() {
                let reports = std::mem::take(&mut phase.reports);
                self.send(&Frame::Phase(phase.into()))?;
                self.send_reports(Some(number), reports)?;
            }
        }
        self.send(&Frame::Outcome(outcome))
    }

    fn send_reports(&self, phase: Option<usize>, reports: Vec<WorkerReport>) -> Result<()> {
        reports.into_iter().try_for_each(|report| self.send(&Frame::Worker { phase, report: Box::new(report) }))
    }
}

impl From<PhaseReports> for PhaseFacts {
    fn from(phase: PhaseReports) -> Self {
        let PhaseReports { phase, from_ns, length_ns, reports: _, cgroups, cpus, own } = phase;
        Self { phase, from_ns, length_ns, cgroups, cpus, own }
    }
}

impl From<PhaseFacts> for PhaseReports {
    fn from(facts: PhaseFacts) -> Self {
        let PhaseFacts { phase, from_ns, length_ns, cgroups, cpus, own } = facts;
        Self { phase, from_ns, length_ns, reports: Vec::new(), cgroups, cpus, own }
    }
}
