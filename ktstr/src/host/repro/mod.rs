//! A crash of a scheduler, looked at once more: the same machine with the same seed, and a trace of the kernel on the way
//! there. Nothing of this changes the test's verdict.

mod crash;
mod functions;
mod lines;
mod programs;
mod select;

use crate::host::attempt::Attempt;
use crate::host::console::Log;
use crate::host::observations::Observations;
use crate::host::reason::reason;
use crate::host::run::SetupError;
use crate::host::schedulers;
use crate::record::{BudgetPart, Record};
use crate::repro::{Crash, Repro, ReproOutcome};
use crate::spec::TestSpec;
use crate::verdict::Verdict;
use crash::Told;
use ktstr_kernels::Kernel;
use ktstr_vmm::Chosen;
use std::time::Instant;

/// A crash that is to be looked at.
pub(super) struct Wanted(Told);

/// Whether there is one, and the test wants that. What a test is expected to fail with needs no second look.
pub(super) fn wanted(spec: &TestSpec, verdict: &Verdict, seen: &Observations) -> Option<Wanted> {
    let failed = matches!(verdict, Verdict::Fail { .. } | Verdict::Inconclusive { .. });
    if spec.auto_repro && failed { crash::find(seen).map(Wanted) } else { None }
}

/// Runs the machine again, with a trace, and says in the record what came of it. `log` makes the file for the console.
pub(super) fn run(
    spec: &TestSpec,
    attempt: &Attempt,
    kernel: &Kernel,
    Wanted(first): Wanted,
    log: impl FnOnce() -> Result<(Log, String), SetupError>,
    record: &mut Record,
) {
    let began = Instant::now();
    let deterministic = attempt.config.accel == Chosen::Tcg;
    let seen = log().and_then(|(log, name)| {
        record.host.repro_console_log = Some(name);
        attempt.traced(functions::order(&first, kernel)).run(None, log, &mut BudgetPart::default())
    });
    let repro = match seen {
        Ok(mut seen) => {
            schedulers::settle(&mut seen, spec);
            of(first, seen, deterministic)
        }
        Err(error) => failed(first, reason(&error), deterministic),
    };
    record.host.repro_ms = Some(began.elapsed().as_secs_f64() * 1e3);
    record.repro = Some(Box::new(repro));
}

/// There was no second machine.
fn failed(first: Told, why: String, deterministic: bool) -> Repro {
    Repro {
        focus: crash::focus(&first),
        crash: first.crash,
        outcome: ReproOutcome::Failed { why },
        deterministic,
        probes: Vec::new(),
        notes: Vec::new(),
        end: None,
        last_switch: None,
        events: Vec::new(),
        events_left_out: 0,
    }
}

/// What was seen of the second run.
fn of(first: Told, seen: Observations, deterministic: bool) -> Repro {
    let second = crash::find(&seen);
    let outcome = match (&second, incomplete(&seen)) {
        (None, Some(why)) => ReproOutcome::Failed { why },
        _ => crash::compare(&first.crash, second.as_ref().map(|told| &told.crash)),
    };
    let focus = second.as_ref().map_or_else(|| crash::focus(&first), crash::focus);
    let (mut events, strange) = lines::parse(&seen.trace.text());
    programs::name(&mut events);
    let last_switch = select::last_switch(&events, &focus);
    let notes = notes(&seen, strange);
    let (events, events_left_out) = select::select(events, &focus);
    let (probes, end) = (seen.trace.probes, seen.trace.end);
    Repro {
        crash: first.crash,
        outcome,
        deterministic,
        probes,
        notes,
        end,
        focus,
        last_switch,
        events,
        events_left_out,
    }
}

/// Why a second run without a crash tells nothing.
fn incomplete(seen: &Observations) -> Option<String> {
    if seen.schedulers.iter().all(|run| run.enabled.is_empty()) {
        return Some("no scheduler was enabled".to_owned());
    }
    if let Some(overdue) = seen.overdue {
        return Some(format!("the machine was overdue in its phase {:?}", overdue.phase));
    }
    (!seen.said_bye).then(|| "the machine ended early".to_owned())
}

/// What was amiss with the second run.
fn notes(seen: &Observations, strange: u64) -> Vec<String> {
    let mut notes = seen.trace.notes.clone();
    notes.extend(seen.faults.iter().map(|fault| format!("the agent: {fault}")));
    notes.extend(seen.breaches.iter().cloned());
    if seen.dropped_frames > 0 {
        notes.push(format!("{} messages of the guest were lost", seen.dropped_frames));
    }
    if seen.trace.end.is_none() {
        notes.push("the guest did not tell its trace to the end".to_owned());
    }
    if strange > 0 {
        notes.push(format!("{strange} lines of the trace are no events"));
    }
    notes
}

/// What comes of the text of a trace and of a crash's words, for the fuzzer: how many events.
pub(crate) fn read(text: &str, words: &str) -> usize {
    let words: Vec<String> = words.lines().map(str::to_owned).collect();
    let message = words.first().cloned().unwrap_or_default();
    let crash = Crash { scheduler: String::new(), class: None, kind: None, message };
    let told = Told { crash, words };
    let focus = crash::focus(&told);
    let (mut events, _) = lines::parse(text);
    programs::name(&mut events);
    let _ = (select::last_switch(&events, &focus), functions::path(&told.words));
    select::select(events, &focus).0.len()
}
