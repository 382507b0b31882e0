//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::assert::{AssertResult, PhaseReports};
use crate::facts::{CgroupFacts, CpuFacts};
use crate::guest::{Frame, Outcome};
use crate::host::console::{Console, Log, last_lines};
use crate::host::repro;
use crate::host::schedulers::classify;
use crate::host::session::{Reports, Schedulers, Traced};
use crate::stimulus::{Stimulus, StimulusKind};
use crate::verdict::Finding;
use ktstr_wire::message::decode;
use ktstr_wire::scheduler::SchedulerEvent;
use ktstr_wire::trace::TraceEvent;
use ktstr_workload::{Gap, Progress, RunSegment, WorkerReport};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// What a guest prints, in pieces of `piece` bytes; tells how many findings come of it.
pub fn console(bytes: &[u8], piece: usize) -> usize {
    let mut console = Console::new(Log::default());
    bytes.chunks(piece.max(1)).for_each(|piece| console.take(piece, Duration::ZERO));
    let seen = console.end();
    let _ = last_lines(&seen.text, 8);
    seen.findings.len()
}

/// What a test binary reports, a frame in each line; tells how many are refused.
///
/// # Panics
/// When a frame that was understood means something else once it is written and read again.
pub fn reports(bytes: &[u8]) -> usize {
    let mut reports = Reports::default();
    let frames = bytes.split(|byte| *byte == b'\n');
    for frame in frames.clone() {
        if let Ok(read) = serde_json::from_slice::<Frame>(frame) {
            let text = serde_json::to_vec(&read).unwrap_or_default();
            let again = serde_json::from_slice::<Frame>(&text).and_then(|again| serde_json::to_vec(&again));
            assert_eq!(again.unwrap_or_default(), text);
        }
    }
    frames.filter(|frame| reports.take(frame).is_err()).count()
}

/// What an agent tells of a trace, each event behind its length in two bytes, about a crash whose words are in the notes;
/// tells how many of the trace's events a record would have.
pub fn trace(bytes: &[u8]) -> usize {
    let mut traced = Traced::default();
    for event in framed::<TraceEvent>(bytes) {
        let _ = traced.take(event);
    }
    repro::read(&traced.text(), &traced.notes.join("\n"))
}

/// What an agent tells of schedulers, each event behind its length in two bytes; tells how many findings come of it.
pub fn schedulers(bytes: &[u8]) -> usize {
    let mut schedulers = Schedulers::default();
    for event in framed::<SchedulerEvent>(bytes) {
        let _ = schedulers.take(event);
    }
    schedulers.into_runs().iter().map(|run| classify(run, None).findings.len()).sum()
}

/// The messages among bytes, each behind its length in two of them.
fn framed<T: DeserializeOwned>(mut bytes: &[u8]) -> Vec<T> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (message, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        messages.extend(decode(message).ok());
        bytes = rest;
    }
    messages
}

/// A frame of each sort, as [`reports`] takes them.
pub fn report_frames() -> Vec<u8> {
    let cpus = [0, 1, 3].into_iter().collect();
    let mut worker = WorkerReport {
        cgroup: "a".to_owned(),
        run_delay_ns: Some(2),
        cpus_visited: cpus,
        longest_gap: Gap { length_ns: 2, from_ns: 3, cpu: 1 },
        progress: Progress { stretch_ns: 4, iterations: vec![4, 5] },
        runs: vec![RunSegment { cpu: 0, from_ns: 1, length_ns: 2 }],
        ..WorkerReport::default()
    };
    worker.wake_latency.record(3, 1);
    let text = || "Freeze a".to_owned();
    let stimulus =
        Stimulus { at_ns: 1, took_ns: 2, kind: StimulusKind::Op, text: text(), error: Some("why".to_owned()) };
    let phase = PhaseReports {
        cgroups: vec![CgroupFacts { cgroup: "a".to_owned(), weight: 100, ..CgroupFacts::default() }],
        cpus: vec![CpuFacts { cpu: 0, online: true, idle_ms: 10 }],
        ..PhaseReports::default()
    };
    let findings = vec![Finding::new("not_starved", "it was").with_evidence([text()])];
    let frames = [
        Frame::Stimulus(stimulus),
        Frame::Phase(phase.into()),
        Frame::Worker { phase: Some(0), report: Box::new(worker.clone()) },
        Frame::Worker { phase: None, report: Box::new(worker) },
        Frame::Outcome(Outcome::Finished(AssertResult { findings, ..AssertResult::default() })),
    ];
    frames.iter().map(|frame| serde_json::to_vec(frame).unwrap_or_default()).collect::<Vec<_>>().join(&b'\n')
}
