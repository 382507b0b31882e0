//! All there is to see of one record.

use super::{histogram, repro, schedulers, timeline, workers};
use crate::runs::Entry;
use crate::units;
use ktstr::{Finding, Record, Stimulus, Verdict};
use maud::{Markup, html};

const CONSOLE_LINES: usize = 60;
const MOST_STIMULI: usize = 500;

/// The content of a record's part.
pub(super) fn render(entry: &Entry) -> Markup {
    let record = &entry.record;
    let result = record.guest.result.as_ref();
    let reports = result.map_or(&[][..], |result| &result.reports);
    html! {
        (verdict(&record.verdict))
        (expected(&record.failed_with))
        (schedulers::render(record))
        (repro::render(record))
        h3 { "What ran where" }
        (timeline::render(record))
        (stimuli(&record.guest.stimuli))
        (histogram::render(reports))
        @if !reports.is_empty() { (workers::render(reports)) }
        (tail("Console", &record.guest.console))
        (tail("Output of the test", &record.guest.output))
        (tail("Dumps of the guest's CPUs and tasks", &record.guest.dumps))
        (environment(entry))
    }
}

fn verdict(verdict: &Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Pass => {},
            Verdict::Skip { reason } | Verdict::Inconclusive { reason } => p.reason { (reason) },
            Verdict::Fail { findings } => {
                h3 { "Findings" }
                ul.findings { @for finding in findings { (one(finding)) } }
            }
        }
    }
}

fn expected(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            h3 { "Failed as it should, with" }
            ul { @for finding in findings { (one(finding)) } }
        }
    }
}

fn one(finding: &Finding) -> Markup {
    html! {
        li {
            b { (finding.asserted) }
            @if let Some(phase) = &finding.phase { " in phase " (phase) }
            " " (finding.measured)
            @if !finding.evidence.is_empty() { pre { (finding.evidence.join("\n")) } }
        }
    }
}

fn stimuli(stimuli: &[Stimulus]) -> Markup {
    html! {
        @if !stimuli.is_empty() {
            details {
                summary { "What was done, step by step (" (stimuli.len()) ")" }
                table {
                    @for stimulus in stimuli.iter().take(MOST_STIMULI) {
                        tr {
                            td.number { (format!("{:.6} s", stimulus.at_ns as f64 / 1e9)) }
                            td { (format!("{:?}", stimulus.kind).to_lowercase()) }
                            td { (stimulus.text) @if let Some(error) = &stimulus.error { " " span.failed { (error) } } }
                            td.number { @if stimulus.took_ns > 0 { (units::duration(stimulus.took_ns as f64)) } }
                        }
                    }
                }
                @if stimuli.len() > MOST_STIMULI { p.muted { (stimuli.len() - MOST_STIMULI) " more are in the record." } }
            }
        }
    }
}

/// The last lines of a text.
pub(super) fn tail(name: &str, text: &str) -> Markup {
    let text = text.trim();
    let lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(CONSOLE_LINES);
    html! {
        @if !text.is_empty() {
            h3 { (name) @if left_out > 0 { small.muted { " the last " (CONSOLE_LINES) " lines of " (lines.len()) } } }
            pre { (lines[left_out..].join("\n")) }
        }
    }
}

fn environment(entry: &Entry) -> Markup {
    let record = &entry.record;
    html! {
        h3 { "Environment" }
        dl {
            @for (name, value) in facts(record) { dt { (name) } dd { (value) } }
            dt { "record" }
            dd { (entry.file) @if let Some(log) = &record.host.console_log { ", " (log) } }
            @if !record.host.again.is_empty() { dt { "again" } dd { pre { (record.host.again) } } }
        }
    }
}

fn facts(record: &Record) -> Vec<(&'static str, String)> {
    let host = &record.host;
    let machine = format!("{} · {} MiB", record.machine.topology, record.machine.memory_bytes() >> 20);
    let kernel = record.kernel.as_ref().map(|kernel| ("kernel", kernel.id.clone()));
    let config =
        record.kernel.as_ref().and_then(|kernel| kernel.config_hash.clone()).map(|hash| ("kernel config", hash));
    let images = record.images.as_ref().map(|(boot, payload)| ("images", format!("{boot} {payload}")));
    let time = host.time;
    let seconds = |ms: f64| format!("{:.2} s", ms / 1e3);
    let split = format!(
        "{} in all: boot {}, ready {}, run {}, teardown {}",
        seconds(time.total_ms()),
        seconds(time.boot_ms),
        seconds(time.ready_ms),
        seconds(time.run_ms),
        seconds(time.teardown_ms)
    );
    let always = [
        ("machine", machine),
        ("accelerator", host.accel_reason.clone()),
        ("seed", record.seed.to_string()),
        ("duration", units::duration(record.duration_ns as f64)),
        ("host time", split),
    ];
    let load = host.load_1m.map(|load| ("host load", format!("{load:.2} over the minute before")));
    let waits: u64 = host.vcpu_clocks.iter().map(|clock| clock.wait_ns).sum();
    let waits = ("vCPUs waited", format!("{} for the host's CPUs, together", units::duration(waits as f64)));
    let scheduler = schedulers::identity(&record.scheduler);
    always.into_iter().chain(scheduler).chain(kernel).chain(config).chain(images).chain(load).chain([waits]).collect()
}
