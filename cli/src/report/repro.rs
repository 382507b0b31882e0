//! A crash of the scheduler that was run again with a trace.

use ktstr::{Record, Repro, ReproOutcome};
use maud::{Markup, html};

/// The most events that are shown.
const MOST_EVENTS: usize = 400;

/// What there is to see of a second run; nothing where there was none.
pub(super) fn render(record: &Record) -> Markup {
    html! {
        @if let Some(repro) = &record.repro {
            h3 { "The crash, traced in a second run" }
            @for (number, line) in repro.summary().lines().enumerate() {
                p { @if number == 0 && !is_again(repro) { span.failed { (line) } } @else { (line) } }
            }
            dl { @for (name, value) in facts(record, repro) { dt { (name) } dd { (value) } } }
            (events(repro))
        }
    }
}

fn is_again(repro: &Repro) -> bool {
    matches!(repro.outcome, ReproOutcome::Again { .. })
}

fn facts(record: &Record, repro: &Repro) -> Vec<(&'static str, String)> {
    let (lost, made): (Vec<_>, Vec<_>) = repro.probes.iter().partition(|probe| probe.error.is_some());
    let names = made.iter().map(|probe| probe.name.as_str()).collect::<Vec<_>>().join(" ");
    let not = |probe: &&ktstr::TraceProbe| format!("{}: {}", probe.name, probe.error.as_deref().unwrap_or_default());
    let mut facts = vec![("first crash", repro.crash.to_string()), ("recorded", names)];
    facts.extend(lost.iter().map(|probe| ("not recorded", not(probe))));
    facts.extend(repro.notes.iter().map(|note| ("note", note.clone())));
    if let Some(end) = &repro.end {
        let how = if end.stopped { "when the scheduler failed" } else { "not before the run was over" };
        facts.push(("trace ended", format!("{how}; {} records lost", end.lost_records)));
    }
    facts.extend(record.host.repro_console_log.iter().map(|log| ("its console", log.clone())));
    facts
}

/// The end of the trace.
fn events(repro: &Repro) -> Markup {
    let left_out = repro.events.len().saturating_sub(MOST_EVENTS);
    let lines: Vec<String> = repro.events[left_out..].iter().map(ToString::to_string).collect();
    html! {
        @if !lines.is_empty() {
            details open {
                summary { "The last " (lines.len()) " events" }
                pre { (lines.join("\n")) }
            }
            p.muted { (left_out) " more are in the record, and " (repro.events_left_out) " are not." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record;
    use ktstr::{Crash, Focus, FocusTask, SchedulerClass, TraceEnd, TraceProbe, TraceProbeKind, TracedEvent, Verdict};

    fn repro() -> Repro {
        let message = "w<1>[7] failed to run for 7.5s".to_owned();
        let crash =
            Crash { scheduler: "a".to_owned(), class: Some(SchedulerClass::Stalled), kind: Some(1026), message };
        let event = |at_ns| TracedEvent {
            at_ns,
            cpu: 1,
            comm: "w<1>".to_owned(),
            pid: 7,
            event: "sched_switch".to_owned(),
            args: "prev_pid=7".to_owned(),
        };
        let probe = |name: &str, error: Option<&str>| TraceProbe {
            kind: TraceProbeKind::Function,
            name: name.to_owned(),
            error: error.map(str::to_owned),
        };
        Repro {
            crash: crash.clone(),
            outcome: ReproOutcome::Again { crash, same_words: true },
            deterministic: true,
            probes: vec![probe("scx_vexit", None), probe("absent", Some("no <such>"))],
            notes: vec!["<note>".to_owned()],
            end: Some(TraceEnd { at_ns: 9, stopped: true, lost_records: 3, left_out_bytes: 0 }),
            focus: Focus { task: Some(FocusTask { comm: "w<1>".to_owned(), pid: 7 }), cpu: Some(1), dsq: None },
            last_switch: Some(event(2_000_000_000)),
            events: (0..1000).map(event).collect(),
            events_left_out: 5,
        }
    }

    #[test]
    fn a_trace_is_evidence_and_never_markup() {
        let mut with = record("a", Verdict::Pass);
        assert_eq!(render(&with).into_string(), "");
        with.repro = Some(Box::new(repro()));
        let text = render(&with).into_string();
        for expected in [
            "failed again in the same way when it was traced: runnable task stall (w&lt;1&gt;[7] failed to run for 7.5s)",
            "w&lt;1&gt;[7] last left CPU 1 at 2.000000 s",
            "absent: no &lt;such&gt;",
            "&lt;note&gt;",
            "when the scheduler failed; 3 records lost",
            "The last 400 events",
            "600 more are in the record, and 5 are not.",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert!(!text.contains("<1>") && !text.contains("<note>"), "{text}");
        assert_eq!(text.matches(" sched_switch: prev_pid=7").count(), MOST_EVENTS);
    }
}
