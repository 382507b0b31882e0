//! What the test binary reports, frame by frame. All of it is the guest's word, and kept within bounds.

use crate::assert::PhaseReports;
use crate::guest::{Frame, Outcome};
use crate::stimulus::Stimulus;
use ktstr_workload::WorkerReport;

/// The most stimuli that are kept.
const MAX_STIMULI: usize = 100_000;

/// The most phases.
const MAX_PHASES: usize = 10_000;

/// The most workers' reports, those of phases included.
const MAX_REPORTS: usize = 20_000;

/// The most bytes of frames together, besides the outcome's.
const MAX_BYTES: usize = 64 << 20;

/// What was reported so far.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) stimuli: Vec<Stimulus>,
    /// What the body came to, with all that came before it in its place.
    pub(crate) outcome: Option<Outcome>,
    phases: Vec<PhaseReports>,
    /// Of the whole run.
    workers: Vec<WorkerReport>,
    /// How many there are, those of phases included.
    count: usize,
    bytes: usize,
}

/// A frame that is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// It is none.
    #[error("the test's report cannot be understood: {0}")]
    Malformed(serde_json::Error),
    /// Nothing may follow the outcome.
    #[error("the test reported something after its outcome")]
    Late,
    /// Its phase was not told before.
    #[error("a worker reported on a phase that is none")]
    NoPhase,
    /// Too much came before it.
    #[error("the test reported more than {most} {what}; what came beyond that is left out")]
    TooMuch { most: usize, what: &'static str },
}

impl Reports {
    /// Takes in a frame.
    pub(crate) fn take(&mut self, frame: &[u8]) -> Result<(), ReportError> {
        if self.outcome.is_some() {
            return Err(ReportError::Late);
        }
        let bytes = self.bytes.saturating_add(frame.len());
        match serde_json::from_slice(frame).map_err(ReportError::Malformed)? {
            Frame::Outcome(outcome) => self.outcome = Some(self.complete(outcome)),
            _ if bytes > MAX_BYTES => return Err(ReportError::TooMuch { most: MAX_BYTES, what: "bytes" }),
            Frame::Stimulus(stimulus) => push(&mut self.stimuli, stimulus, MAX_STIMULI, "stimuli")?,
            Frame::Phase(phase) => push(&mut self.phases, phase.into(), MAX_PHASES, "phases")?,
            Frame::Worker { .. } if self.count >= MAX_REPORTS => {
                return Err(ReportError::TooMuch { most: MAX_REPORTS, what: "workers' reports" });
            }
            Frame::Worker { phase, report } => {
                let reports = match phase {
                    None => &mut self.workers,
                    Some(phase) => &mut self.phases.get_mut(phase).ok_or(ReportError::NoPhase)?.reports,
                };
                reports.push(*report);
                self.count += 1;
            }
        }
        self.bytes = bytes;
        Ok(())
    }

    /// With the phases and the workers' reports where the body had them.
    fn complete(&mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Finished(mut result) => {
                result.reports = std::mem::take(&mut self.workers);
                result.phases = std::mem::take(&mut self.phases);
                Outcome::Finished(result)
            }
            other => other,
        }
    }
}

fn push<T>(all: &mut Vec<T>, one: T, most: usize, what: &'static str) -> Result<(), ReportError> {
    if all.len() >= most {
        return Err(ReportError::TooMuch { most, what });
    }
    all.push(one);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::AssertResult;
    use crate::stimulus::StimulusKind;

    fn take(reports: &mut Reports, frame: &Frame) -> String {
        let taken = reports.take(&serde_json::to_vec(frame).unwrap());
        taken.map_or_else(|error| error.to_string(), |()| String::new())
    }

    fn worker(phase: Option<usize>) -> Frame {
        Frame::Worker { phase, report: Box::default() }
    }

    fn phase() -> Frame {
        Frame::Phase(PhaseReports::default().into())
    }

    fn finished() -> Frame {
        Frame::Outcome(Outcome::Finished(AssertResult::default()))
    }

    #[test]
    fn reports_come_where_the_body_had_them() {
        let mut reports = Reports::default();
        for frame in [worker(None), phase(), worker(Some(0)), worker(Some(0)), phase(), worker(Some(1)), finished()] {
            assert_eq!(take(&mut reports, &frame), "");
        }
        let Some(Outcome::Finished(result)) = &reports.outcome else { panic!("no result") };
        let counts: Vec<usize> = result.phases.iter().map(|phase| phase.reports.len()).collect();
        assert_eq!((result.reports.len(), counts), (1, vec![2, 1]));
        assert_eq!(take(&mut reports, &phase()), "the test reported something after its outcome");
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let mut reports = Reports::default();
        assert_eq!(take(&mut reports, &worker(Some(0))), "a worker reported on a phase that is none");
        assert!(reports.take(b"{}").unwrap_err().to_string().contains("cannot be understood"));
    }

    #[test]
    fn no_guest_reports_without_end() {
        let mut reports = Reports::default();
        let endless = |reports: &mut Reports, frame: &Frame, most: usize| {
            let frame = serde_json::to_vec(frame).unwrap();
            let refused = (0..=most).find_map(|_| reports.take(&frame).err());
            refused.map_or_else(String::new, |error| error.to_string())
        };
        let text = |length: usize| {
            let kind = StimulusKind::Note;
            Frame::Stimulus(Stimulus { at_ns: 1, took_ns: 0, kind, text: "x".repeat(length), error: None })
        };
        assert!(endless(&mut reports, &text(1), MAX_STIMULI).contains("more than 100000 stimuli"));
        assert!(endless(&mut reports, &worker(None), MAX_REPORTS).contains("more than 20000 workers' reports"));
        assert!(endless(&mut reports, &phase(), MAX_PHASES).contains("more than 10000 phases"));
        assert!(take(&mut reports, &worker(Some(0))).contains("more than 20000 workers' reports"));
        let mut reports = Reports::default();
        assert!(endless(&mut reports, &text(1 << 20), 100).contains("more than 67108864 bytes"));
        assert_eq!(take(&mut reports, &finished()), "");
    }
}
