//! Why something that was asked for did not happen.

use ktstr_wire::ExitStatus;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd};

/// One that is over, though it was to be enabled.
pub(super) fn not_enabled(name: &str, end: &SchedulerEnd) -> String {
    match &end.cause {
        EndCause::NotStarted(why) => format!("{name} was not started: {why}"),
        EndCause::NotEnabled => format!("the kernel did not enable {name} in time"),
        EndCause::Itself => {
            format!("{name} {} before the kernel had enabled it; what it printed says more", ended(end.status.as_ref()))
        }
        EndCause::Asked => format!("{name} was asked to end before the kernel had enabled it"),
    }
}

/// One that is given up, though it is not gone.
pub(super) fn not_gone(name: &str, end: &SchedulerEnd) -> Option<String> {
    let lives = end.status.is_none().then_some("its process cannot be killed");
    let is_loaded = !matches!(end.state.as_str(), "" | "disabled");
    let loaded = is_loaded.then(|| format!("the kernel's state of sched_ext is {:?}", end.state));
    let what = lives.map(str::to_owned).or(loaded)?;
    Some(format!("{name} does not go away: {what}"))
}

fn ended(status: Option<&ExitStatus>) -> String {
    match status {
        Some(ExitStatus::Code(code)) => format!("ended with exit code {code}"),
        Some(ExitStatus::Signal(signal)) => format!("was ended by signal {signal}"),
        Some(ExitStatus::Deadline) | None => "was given up".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(cause: EndCause, status: Option<ExitStatus>, state: &str) -> SchedulerEnd {
        SchedulerEnd { at_ns: 1, cause, status, killed: false, state: state.to_owned() }
    }

    #[test]
    fn a_scheduler_that_was_not_enabled_says_how_it_ended() {
        let check = |cause, status, expected: &str| {
            assert_eq!(not_enabled("x", &end(cause, status, "disabled")), expected);
        };
        let code = Some(ExitStatus::Code(1));
        let said = "before the kernel had enabled it; what it printed says more";
        check(EndCause::Itself, code.clone(), &format!("x ended with exit code 1 {said}"));
        check(EndCause::Itself, Some(ExitStatus::Signal(11)), &format!("x was ended by signal 11 {said}"));
        check(EndCause::NotEnabled, code, "the kernel did not enable x in time");
        check(EndCause::NotStarted("no file".to_owned()), None, "x was not started: no file");
    }

    #[test]
    fn a_scheduler_that_is_still_there_is_named() {
        let check = |status, state, expected: Option<&str>| {
            assert_eq!(not_gone("x", &end(EndCause::Asked, status, state)).as_deref(), expected);
        };
        let code = || Some(ExitStatus::Code(0));
        check(code(), "disabled", None);
        check(code(), "", None);
        check(code(), "enabled", Some("x does not go away: the kernel's state of sched_ext is \"enabled\""));
        check(None, "disabled", Some("x does not go away: its process cannot be killed"));
    }
}
