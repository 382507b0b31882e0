//! What became of a scheduler, in words, with those of the kernel as evidence.

use super::{Seen, kernel, program};
use crate::host::console::last_lines;
use crate::scheduler::SchedulerClass;
use crate::verdict::{Finding, Window};
use ktstr_wire::ExitStatus;
use ktstr_wire::scheduler::EndCause;
use std::time::Duration;

/// Lines of what a program said last that are shown.
const LAST_LINES: usize = 12;

/// And from its beginning.
const FIRST_LINES: usize = 3;

/// The most lines of a finding's evidence.
const MAX_EVIDENCE: usize = 40;

/// Tells of one run.
pub(super) struct Teller<'a> {
    pub(super) seen: &'a Seen<'a>,
    pub(super) watchdog: Option<Duration>,
}

impl Teller<'_> {
    /// The finding for this sort of end; of some there is none.
    pub(super) fn finding(&self, class: SchedulerClass) -> Option<Finding> {
        use SchedulerClass as Class;
        let name = &self.seen.run.name;
        let (asserted, measured) = match class {
            Class::Unknown | Class::Clean => return None,
            Class::Rejected => ("scheduler_loads", self.rejection()),
            Class::Refused => {
                let why = self.seen.errno().unwrap_or_default();
                ("scheduler_loads", format!("the kernel refused the scheduler {name}: {why}"))
            }
            Class::Exited if self.seen.run.enabled.is_empty() => {
                ("scheduler_loads", format!("the scheduler {name} {} before it was enabled", self.how()))
            }
            Class::Exited => {
                ("scheduler_stays", format!("the scheduler {name} {} {}", self.how(), self.since_enabled()))
            }
            Class::NotEnabled => return Some(self.not_enabled()),
            Class::Stalled => return Some(self.stall()),
            Class::Error | Class::RuntimeError => ("scheduler_sound", self.disabled(class)),
            Class::BpfFault => {
                ("scheduler_sound", format!("BPF fault: a program of the scheduler {name} did what none may"))
            }
            Class::Unregistered | Class::UnregisteredByKernel | Class::SysRq | Class::Disabled => {
                ("scheduler_stays", self.disabled(class))
            }
            Class::Killed => (
                "scheduler_ends",
                format!("the scheduler {name} did not end by the signal that asks it to, and was killed"),
            ),
            Class::EndedBadly => {
                ("scheduler_ends", format!("the scheduler {name} {} when it was asked to end", self.how()))
            }
        };
        Some(Finding::new(asserted, measured).with_evidence(self.evidence(class)))
    }

    /// What cannot be told.
    pub(super) fn doubts(&self) -> Vec<String> {
        let run = self.seen.run;
        let mut doubts = Vec::new();
        match &run.end {
            None => doubts.push(format!("the guest did not tell how the scheduler {} ended", run.name)),
            Some(end) => match &end.cause {
                EndCause::NotStarted(why) => {
                    doubts.push(format!("the scheduler {} could not be started: {why}", run.name));
                }
                EndCause::Asked if run.enabled.is_empty() => {
                    doubts.push(format!("the scheduler {} was stopped before it was enabled", run.name));
                }
                _ => {}
            },
        }
        doubts
    }

    fn rejection(&self) -> String {
        let name = &self.seen.run.name;
        let by_libbpf = self.seen.said.rejected.as_ref().map(|rejected| rejected.program.as_str());
        let program = by_libbpf.or_else(|| self.seen.rejected_program().map(|program| program.load.name.as_str()));
        let program = program.filter(|program| !program.is_empty()).unwrap_or("a program");
        let errno = self.seen.errno().map(|errno| format!(" ({errno})")).unwrap_or_default();
        format!("the verifier rejected {program} of the scheduler {name}{errno}")
    }

    fn not_enabled(&self) -> Finding {
        let run = self.seen.run;
        let end = run.end.as_ref();
        let length_ns = end.map_or(0, |end| end.at_ns.saturating_sub(run.starting_ns));
        let state = end.map_or("unknown", |end| end.state.as_str());
        let seconds = length_ns as f64 / 1e9;
        let measured =
            format!("the scheduler {} was not enabled within {seconds:.1} s; the kernel says: {state:?}", run.name);
        Finding::new("scheduler_loads", measured).with_evidence(self.evidence(SchedulerClass::NotEnabled))
    }

    fn stall(&self) -> Finding {
        let class = SchedulerClass::Stalled;
        let finding = Finding::new("scheduler_serves", self.disabled(class)).with_evidence(self.evidence(class));
        let end = self.seen.told_end(class);
        let window = end.and_then(|end| {
            let length_ns = kernel::stalled_ns(&end.message)?;
            // The kernel looks twice within its time, so it tells of a stall when that is half over again at the latest.
            let tolerable_ns =
                self.watchdog.map_or(length_ns / 3 * 2, |watchdog| watchdog.as_nanos() as u64).min(length_ns);
            Some(Window { cpu: None, from_ns: end.at_ns.saturating_sub(length_ns), length_ns, tolerable_ns })
        });
        match window {
            Some(window) => finding.within(window),
            None => finding,
        }
    }

    /// `the kernel disabled the scheduler qmap 2.3 s after it was enabled: runnable task stall (sh[1] failed …)`.
    fn disabled(&self, class: SchedulerClass) -> String {
        let exit = self.seen.exit(class);
        let mut text = format!("the kernel disabled the scheduler {} {}", self.seen.run.name, self.since_enabled());
        if let Some(reason) = exit.reason {
            text.push_str(&format!(": {reason}"));
        } else {
            text.push_str(" and did not say why");
        }
        if let Some(message) = exit.message {
            text.push_str(&format!(" ({message})"));
        }
        text
    }

    fn since_enabled(&self) -> String {
        let run = self.seen.run;
        let told_ns = self.seen.ends.last().map(|end| end.at_ns);
        let seen_ns = || run.enabled.iter().find_map(|span| span.disabled_ns);
        let ended_ns = || run.end.as_ref().map(|end| end.at_ns);
        match (run.enabled.first(), told_ns.or_else(seen_ns).or_else(ended_ns)) {
            (Some(span), Some(at_ns)) => {
                let seconds = at_ns.saturating_sub(span.from_ns) as f64 / 1e9;
                format!("{seconds:.1} s after it was enabled")
            }
            (Some(_), None) => "after it was enabled".to_owned(),
            (None, _) => "before it was enabled".to_owned(),
        }
    }

    fn how(&self) -> String {
        match self.seen.run.end.as_ref().and_then(|end| end.status.as_ref()) {
            Some(ExitStatus::Code(code)) => format!("exited with {code}"),
            Some(ExitStatus::Signal(signal)) => format!("was ended by signal {signal}"),
            Some(ExitStatus::Deadline) => "ran too long".to_owned(),
            None => "ended".to_owned(),
        }
    }

    /// The kernel's own words, then those of the program.
    fn evidence(&self, class: SchedulerClass) -> Vec<String> {
        use SchedulerClass as Class;
        let Seen { run, said, .. } = self.seen;
        let exit_line = || said.exits.last().map(|exit| exit.line.clone());
        let last_words = || program::ends(&said.text, FIRST_LINES, LAST_LINES);
        let mut lines: Vec<String> = match class {
            Class::Rejected => match (&said.rejected, self.seen.rejected_program()) {
                (Some(rejected), _) => rejected.log.clone(),
                (None, Some(program)) => last_lines(&program.log, LAST_LINES),
                (None, None) => Vec::new(),
            },
            Class::Refused | Class::NotEnabled | Class::Exited => {
                kernel::of_sched_ext(&run.kernel).chain(last_words()).collect()
            }
            Class::BpfFault => self.seen.bpf_fault().unwrap_or_default(),
            Class::Killed | Class::EndedBadly => last_words(),
            _ => {
                let told = self.seen.told_end(class).map(|end| end.lines.clone()).unwrap_or_default();
                told.into_iter().chain(exit_line()).collect()
            }
        };
        if lines.len() > MAX_EVIDENCE {
            lines.truncate(MAX_EVIDENCE);
            lines.push("and more, which is in the record".to_owned());
        }
        if !said.dump.is_empty() {
            lines.push("the record has the kernel's dump".to_owned());
        }
        if run.kernel_lines_missed > 0 {
            lines.push(format!("{} lines of the kernel's log were lost", run.kernel_lines_missed));
        }
        lines
    }
}
