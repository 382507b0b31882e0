//! What all schedulers of a test came to.

use super::exit::classify;
use super::restarts;
use crate::host::observations::Observations;
use crate::scheduler::{SchedulerClass, SchedulerSpec};
use crate::spec::TestSpec;
use std::time::Duration;

/// Classifies each run, and keeps what was found and what cannot be told of them.
pub(crate) fn settle(seen: &mut Observations, spec: &TestSpec) {
    let watchdog = spec.watchdog_timeout_s.map(Duration::from_secs_f64);
    let own = spec.scheduler.binary != SchedulerSpec::None;
    if own && seen.started_ns.is_some() && seen.schedulers.first().is_none_or(|run| run.enabled.is_empty()) {
        let name = spec.scheduler.name;
        seen.scheduler_doubts
            .push(format!("the test binary was started, and the scheduler {name} was not seen enabled"));
    }
    let body_ns = seen.started_ns.zip(seen.exited.as_ref()).map(|(from_ns, (_, to_ns))| from_ns..*to_ns);
    for run in &mut seen.schedulers {
        let came = classify(run, watchdog);
        seen.scheduler_findings.extend(came.findings);
        seen.scheduler_doubts.extend(came.doubts);
        (run.exit, run.stderr, run.restarts) = (came.exit, came.stderr, came.restarts);
        if run.exit.class == SchedulerClass::Clean {
            seen.scheduler_doubts.extend(restarts::doubt(run, body_ns.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{EnabledSpan, Scheduler, SchedulerRun};
    use ktstr_wire::Topology;
    use ktstr_wire::scheduler::{EndCause, SchedulerEnd};

    fn check(enabled: bool, cause: Option<EndCause>, findings: usize, doubts: &[&str]) {
        let scheduler = Scheduler::new("one").binary(SchedulerSpec::Name("scx_one"));
        let spec = TestSpec { scheduler, ..TestSpec::new("a::b", Topology::new(1, 1, 1)) };
        let end =
            cause.map(|cause| SchedulerEnd { at_ns: 9, cause, status: None, killed: false, state: String::new() });
        let span = EnabledSpan { ops: "one".to_owned(), from_ns: 2, disabled_ns: None };
        let enabled = Some(span).filter(|_| enabled).into_iter().collect();
        let run = SchedulerRun { name: "one".to_owned(), end, enabled, ..SchedulerRun::default() };
        let mut seen = Observations { started_ns: Some(3), schedulers: vec![run], ..Observations::default() };
        settle(&mut seen, &spec);
        assert_eq!(seen.scheduler_findings.len(), findings, "{:?}", seen.scheduler_findings);
        assert_eq!(seen.scheduler_doubts.len(), doubts.len(), "{:?}", seen.scheduler_doubts);
        for (doubt, expected) in seen.scheduler_doubts.iter().zip(doubts) {
            assert!(doubt.contains(expected), "{doubt}");
        }
    }

    #[test]
    fn what_was_not_told_is_a_doubt() {
        check(true, Some(EndCause::Asked), 0, &[]);
        check(true, None, 0, &["did not tell how the scheduler one ended"]);
        check(false, Some(EndCause::Asked), 0, &["one was not seen enabled", "stopped before it was enabled"]);
        let not_started = EndCause::NotStarted("no such file".to_owned());
        check(false, Some(not_started), 0, &["one was not seen enabled", "could not be started: no such file"]);
        check(true, Some(EndCause::Itself), 1, &[]);
        check(false, Some(EndCause::NotEnabled), 1, &["one was not seen enabled"]);
    }
}
