//! The verdict on what was seen. A finding outweighs a doubt, and a doubt outweighs a pass.

use crate::guest::Outcome;
use crate::host::console::last_lines;
use crate::host::observations::Observations;
use crate::host::phases::{BODY_GRACE, Overdue, Phase};
use crate::host::schedulers::being_disabled;
use crate::host::session::Asked;
use crate::verdict::{Finding, Verdict, Window};
use ktstr_vmm::Exit;
use ktstr_wire::ExitStatus;
use std::fmt::Write;

/// Console lines shown where a machine ended without telling why.
const LAST_LINES: usize = 8;

/// Differences of the machine that a verdict shows.
const SHOWN_DIFFERENCES: usize = 4;

/// What the observations come to.
pub(crate) fn judge(seen: &Observations) -> Verdict {
    // A scheduler that went wrong is why workers fared badly, and what it did comes first.
    let of_test = [seen.scheduler_findings.clone(), outcome_findings(seen)].concat();
    let mut doubts = machine_doubts(seen, &of_test);
    let on_console = seen.console.findings.iter().cloned();
    let found: Vec<Finding> = match doubts.is_empty() {
        true => {
            let (of_scheduler, of_body) = of_test.split_at(seen.scheduler_findings.len());
            of_scheduler.iter().cloned().chain(on_console).chain(of_body.iter().cloned()).collect()
        }
        false => on_console.collect(),
    };
    let (by_host, found): (Vec<Finding>, Vec<Finding>) =
        found.into_iter().partition(|finding| is_by_host(finding, seen));
    if !found.is_empty() {
        return Verdict::Fail { findings: found };
    }
    doubts.extend(run_doubts(seen));
    doubts.extend(by_host.iter().map(|finding| charged(finding, seen)));
    if doubts.is_empty() {
        return Verdict::Pass;
    }
    let mut reason = doubts.join("; ");
    if seen.outcome.is_none() {
        for line in last_lines(&seen.console.text, LAST_LINES) {
            reason.push_str("\n    console: ");
            reason.push_str(&line);
        }
    }
    Verdict::Inconclusive { reason }
}

/// What a test finds on another machine than declared tells nothing of the one that it is about.
fn machine_doubts(seen: &Observations, of_test: &[Finding]) -> Vec<String> {
    let mut doubts = match (seen.differences.as_slice(), &seen.machine, &seen.hello) {
        ([], None, Some(_)) => vec!["the guest did not tell what machine it has".to_owned()],
        ([], ..) => return Vec::new(),
        (differences, ..) => vec![format!("this is not the declared machine: {}", shown(differences))],
    };
    doubts.extend(of_test.iter().map(|finding| format!("on that machine {finding}")));
    doubts
}

/// The first of them.
fn shown(differences: &[String]) -> String {
    let (first, rest) = differences.split_at(differences.len().min(SHOWN_DIFFERENCES));
    let first = first.join("; ");
    if rest.is_empty() { first } else { format!("{first}; and {} more such differences", rest.len()) }
}

/// Whether what is left of the finding's window, without what the host took, would have been no finding.
fn is_by_host(finding: &Finding, seen: &Observations) -> bool {
    finding
        .window
        .is_some_and(|window| window.length_ns.saturating_sub(seen.share.stolen_ns(&window)) <= window.tolerable_ns)
}

fn charged(finding: &Finding, seen: &Observations) -> String {
    let stolen_ns = finding.window.map_or(0, |window| seen.share.stolen_ns(&window));
    let which = match finding.window.and_then(|window| window.cpu) {
        Some(cpu) => format!("vCPU {cpu}"),
        None => "a vCPU".to_owned(),
    };
    format!("{finding}; but the host kept {which} waiting for {:.3} s of that", stolen_ns as f64 / 1e9)
}

/// What did not hold, by what the test binary said and how it ended.
fn outcome_findings(seen: &Observations) -> Vec<Finding> {
    let mut found = match &seen.outcome {
        Some(Outcome::Finished(result)) => result.findings.clone(),
        Some(Outcome::Error(error)) => {
            vec![Finding::new("body_succeeds", format!("the body returned an error: {error}"))]
        }
        Some(Outcome::Panicked(text)) => vec![Finding::new("body_succeeds", format!("the body panicked: {text}"))],
        None => Vec::new(),
    };
    match &seen.exited {
        Some((ExitStatus::Signal(signal), _)) => {
            found.push(Finding::new("body_succeeds", format!("signal {signal} ended the test binary")));
        }
        Some((ExitStatus::Deadline, at_ns)) => {
            let from_ns = seen.started_ns.unwrap_or(*at_ns);
            let length_ns = at_ns.saturating_sub(from_ns);
            let seconds = length_ns as f64 / 1e9;
            let mut what = format!("the test binary still ran after {seconds:.1} s and was killed");
            if let Some(scheduler) = being_disabled(&seen.console.dumps) {
                let _ = write!(what, ", while the kernel was disabling the scheduler {scheduler}");
            }
            // A host that took all of its grace may have kept it from ending.
            let tolerable_ns = length_ns.saturating_sub(BODY_GRACE.as_nanos() as u64);
            let window = Window { cpu: None, from_ns, length_ns, tolerable_ns };
            found.push(Finding::new("body_ends", what).within(window));
        }
        _ => {}
    }
    // Where the agent cannot end the test binary any more, what it should have scheduled is not scheduled.
    if let Some(overdue) = seen.overdue
        && overdue.phase == Phase::Scenario
        && overdue.guest_had_it
    {
        found.push(Finding::new("scenario_ends", waited_for(&overdue, seen)));
    }
    found
}

/// What was awaited, for how long, and what the kernel said when it was asked.
fn waited_for(overdue: &Overdue, seen: &Observations) -> String {
    let Overdue { phase, limit, guest_had_it } = overdue;
    let mut text = format!("after {:.0} s the host still waited for {}", limit.as_secs_f64(), awaited(*phase));
    if !guest_had_it {
        text.push_str(", though the host kept the guest from running for a part of that");
    }
    match &seen.asked {
        Some(Asked::Answered) => text.push_str("; the record has the kernel's dumps"),
        Some(Asked::Forced) => text.push_str(
            "; the kernel printed nothing for SysRq keys until an NMI made it panic: the record has what it printed then",
        ),
        Some(Asked::Silence) => text.push_str("; the kernel answers neither SysRq keys nor an NMI"),
        Some(Asked::Failed(why)) => {
            let _ = write!(text, "; the kernel could not be asked for dumps: {why}");
        }
        None => {}
    }
    text
}

/// Why the run came to no pass that can be told.
fn run_doubts(seen: &Observations) -> Vec<String> {
    let mut doubts = Vec::new();
    doubts.extend(seen.faults.iter().map(|fault| format!("in the guest: {fault}")));
    doubts.extend(seen.breaches.iter().cloned());
    doubts.extend(seen.scheduler_doubts.iter().cloned());
    if seen.dropped_frames > 0 {
        doubts.push(format!("the guest gave up {} frames because the ring was full", seen.dropped_frames));
    }
    doubts.extend(seen.overdue.map(|overdue| waited_for(&overdue, seen)));
    doubts.extend(seen.not_ended.clone());
    match &seen.outcome {
        Some(Outcome::Finished(result)) => doubts.extend(result.inconclusive.iter().cloned()),
        Some(_) => {}
        None => doubts.push(no_outcome(seen)),
    }
    if seen.overdue.is_none() {
        doubts.extend(bad_end(seen));
    }
    doubts
}

/// A result that is there and good counts only if the binary then ended well, and the machine too.
fn bad_end(seen: &Observations) -> Option<String> {
    match (&seen.exit, &seen.exited) {
        (Some(Exit::Broken(why)), _) => Some(format!("the machine broke: {why}")),
        (Some(Exit::TripleFault), _) => Some("the guest died of a triple fault".to_owned()),
        (_, Some((ExitStatus::Code(code), _))) if *code != 0 && seen.outcome.is_some() => {
            Some(format!("the test binary reported an outcome and then exited with {code}"))
        }
        (_, Some(_)) if !seen.said_bye => Some("the guest ended before the agent said goodbye".to_owned()),
        (Some(Exit::Reset), _) => Some("the guest was reset instead of powered off".to_owned()),
        _ => None,
    }
}

fn no_outcome(seen: &Observations) -> String {
    match (&seen.hello, seen.started_ns, &seen.exited) {
        (None, ..) => "the guest did not get as far as to say hello".to_owned(),
        (_, None, _) => "the test binary was not started".to_owned(),
        (_, _, Some((ExitStatus::Code(code), _))) => {
            format!("the test binary exited with {code} and reported no outcome")
        }
        (_, _, Some(_)) => "the test binary reported no outcome".to_owned(),
        (_, _, None) => "the guest ended while the test binary ran".to_owned(),
    }
}

fn awaited(phase: Phase) -> &'static str {
    match phase {
        Phase::Boot => "the kernel to start the agent",
        Phase::Hello => "the agent's hello",
        Phase::Ready => "the start of the test binary",
        Phase::Scenario => "the end of the test binary",
        Phase::Teardown => "the machine to power off",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::AssertResult;
    use crate::host::console::ConsoleSeen;
    use ktstr_vmm::VcpuClock;
    use ktstr_wire::{Hello, MachineReport, PROTOCOL_VERSION};
    use std::time::Duration;

    /// A run in which all went well.
    fn good() -> Observations {
        Observations {
            machine: Some(MachineReport::default()),
            hello: Some(Hello {
                protocol: PROTOCOL_VERSION,
                release: "7.3.4".to_owned(),
                symbols: Vec::new(),
                warnings: Vec::new(),
                at_ns: 1,
            }),
            started_ns: Some(2),
            exited: Some((ExitStatus::Code(0), 3)),
            said_bye: true,
            outcome: Some(Outcome::Finished(AssertResult::default())),
            exit: Some(Exit::PowerOff),
            ..Observations::default()
        }
    }

    fn check(change: impl FnOnce(&mut Observations), word: &str, expected: &str) {
        let mut seen = good();
        change(&mut seen);
        let verdict = judge(&seen);
        assert_eq!(verdict.word(), word, "{verdict}");
        assert!(verdict.to_string().contains(expected), "{verdict}");
    }

    #[test]
    fn a_good_run_passes() {
        check(|_| {}, "Pass", "");
    }

    #[test]
    fn what_did_not_hold_fails() {
        check(|seen| seen.outcome = Some(Outcome::Panicked("boom".to_owned())), "Fail", "panicked: boom");
        check(|seen| seen.outcome = Some(Outcome::Error("no".to_owned())), "Fail", "error: no");
        check(|seen| seen.exited = Some((ExitStatus::Signal(11), 3)), "Fail", "signal 11");
        check(|seen| seen.exited = Some((ExitStatus::Deadline, 5_000_000_002)), "Fail", "still ran after 5.0 s");
        let disabling = |seen: &mut Observations| {
            seen.exited = Some((ExitStatus::Deadline, 5_000_000_002));
            seen.console.dumps = "[   83.1] Sched_ext: qmap (disabling)\n".to_owned();
        };
        check(disabling, "Fail", "and was killed, while the kernel was disabling the scheduler qmap");
        check(|seen| seen.console = ConsoleSeen::of("[ 1.0] BUG: bad\n"), "Fail", "kernel BUG");
    }

    #[test]
    fn a_test_on_another_machine_tells_nothing() {
        let differences = |count| vec!["the CPUs of node 1 are none, declared are 8-15".to_owned(); count];
        check(
            |seen| seen.differences = differences(1),
            "Inconclusive",
            "this is not the declared machine: the CPUs of node 1",
        );
        check(|seen| seen.differences = differences(9), "Inconclusive", "and 5 more such differences");
        check(|seen| seen.machine = None, "Inconclusive", "did not tell what machine it has");
        check(
            |seen| {
                seen.differences = differences(1);
                seen.outcome = Some(Outcome::Error("no second node".to_owned()));
            },
            "Inconclusive",
            "on that machine body_succeeds: the body returned an error: no second node",
        );
        check(
            |seen| {
                seen.differences = differences(1);
                seen.console.findings = vec![Finding::new("kernel_healthy", "kernel BUG on the console")];
            },
            "Fail",
            "kernel BUG",
        );
    }

    #[test]
    fn a_scheduler_that_fails_comes_first() {
        let stall = || Finding::new("scheduler_serves", "runnable task stall");
        let gap = AssertResult { findings: vec![Finding::new("max_gap_ms", "5 s")], ..AssertResult::default() };
        check(
            |seen| {
                seen.scheduler_findings.push(stall());
                seen.console = ConsoleSeen::of("[ 1.0] BUG: bad\n");
                seen.outcome = Some(Outcome::Finished(gap));
            },
            "Fail",
            "Fail\n  scheduler_serves: runnable task stall\n  kernel_healthy: kernel BUG on the console\n    [ 1.0] BUG: bad\n  max_gap_ms",
        );
        check(
            |seen| {
                // Without it, nothing was started.
                *seen =
                    Observations { hello: seen.hello.take(), machine: seen.machine.take(), ..Observations::default() };
                seen.scheduler_findings.push(Finding::new("scheduler_loads", "rejected"));
            },
            "Fail",
            "scheduler_loads: rejected",
        );
        check(|seen| seen.scheduler_doubts.push("not told".to_owned()), "Inconclusive", "not told");
    }

    #[test]
    fn a_panic_after_the_result_fails() {
        let panic = ConsoleSeen::of("[ 3.0] Kernel panic - not syncing: at shutdown\n");
        check(
            |seen| {
                seen.console = panic;
                seen.exit = Some(Exit::Reset);
            },
            "Fail",
            "kernel panic",
        );
    }

    #[test]
    fn what_the_host_caused_is_charged_to_the_host() {
        let window = Window { cpu: Some(0), from_ns: 10, length_ns: 3_000_000_000, tolerable_ns: 1_000_000_000 };
        let finding = Finding::new("max_gap_ms", "3 s").within(window);
        let result = AssertResult { findings: vec![finding], ..AssertResult::default() };
        let stolen = |wait_ns| {
            let result = result.clone();
            move |seen: &mut Observations| {
                seen.outcome = Some(Outcome::Finished(result));
                seen.share.guest_has(10);
                seen.share.add(vec![VcpuClock { run_ns: 0, wait_ns: 0 }]);
                seen.share.add(vec![VcpuClock { run_ns: 0, wait_ns }]);
            }
        };
        check(stolen(1_900_000_000), "Fail", "3 s");
        check(stolen(2_100_000_000), "Inconclusive", "the host kept vCPU 0 waiting for 2.100 s of that");
    }

    #[test]
    fn a_soft_lockup_of_a_starved_vcpu_is_charged_to_the_host() {
        let lockup = |wait_ns| {
            move |seen: &mut Observations| {
                seen.console = ConsoleSeen::of("[   50.0] watchdog: BUG: soft lockup - CPU#0 stuck for 23s!\n");
                seen.share.guest_has(27_000_000_000);
                seen.share.add(vec![VcpuClock { run_ns: 0, wait_ns: 0 }]);
                seen.share.add(vec![VcpuClock { run_ns: 0, wait_ns }]);
            }
        };
        check(lockup(2_900_000_000), "Fail", "soft lockup on the console, of CPU 0");
        check(lockup(3_100_000_000), "Inconclusive", "the host kept vCPU 0 waiting for 3.100 s of that");
    }

    #[test]
    fn what_could_not_be_told_is_no_pass() {
        check(|seen| seen.outcome = None, "Inconclusive", "exited with 0 and reported no outcome");
        check(|seen| seen.faults.push("cannot mount proc".to_owned()), "Inconclusive", "cannot mount proc");
        check(|seen| seen.breaches.push("the ring is corrupt".to_owned()), "Inconclusive", "corrupt");
        check(|seen| seen.not_ended = Some("2 vCPU threads are left".to_owned()), "Inconclusive", "2 vCPU threads");
        check(|seen| seen.dropped_frames = 2, "Inconclusive", "gave up 2 frames");
        check(|seen| seen.exit = Some(Exit::TripleFault), "Inconclusive", "triple fault");
        check(|seen| seen.exit = Some(Exit::Broken("killed".to_owned())), "Inconclusive", "killed");
        check(|seen| seen.exit = Some(Exit::Reset), "Inconclusive", "reset");
        check(|seen| seen.said_bye = false, "Inconclusive", "goodbye");
        check(|seen| seen.exited = Some((ExitStatus::Code(101), 3)), "Inconclusive", "exited with 101");
        let overdue = |phase, guest_had_it| {
            let overdue = Overdue { phase, limit: Duration::from_secs(60), guest_had_it };
            move |seen: &mut Observations| {
                let asked = Some(Asked::Silence);
                *seen = Observations { overdue: Some(overdue), asked, ..Observations::default() };
            }
        };
        let hello = "after 60 s the host still waited for the agent's hello; the kernel answers neither SysRq";
        check(overdue(Phase::Hello, true), "Inconclusive", hello);
        check(overdue(Phase::Scenario, true), "Fail", "scenario_ends: after 60 s");
        check(overdue(Phase::Scenario, false), "Inconclusive", "the host kept the guest from running");
        check(|seen| *seen = Observations::default(), "Inconclusive", "did not get as far as to say hello");
    }
}
