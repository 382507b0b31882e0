//! What became of a scheduler, by what the agent told of its run: a pure function of that. All of it is the guest's word.

mod findings;
mod kernel;
mod program;
#[cfg(test)]
mod transcripts;

use crate::host::console::is_splat;
use crate::scheduler::{EnabledSpan, Restart, SchedulerClass, SchedulerExit, SchedulerRun};
use crate::verdict::Finding;
use findings::Teller;
use kernel::KernelEnd;
pub(crate) use kernel::being_disabled;
use ktstr_wire::ExitStatus;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd};
use program::Said;
use std::time::Duration;

/// What a run came to.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) exit: SchedulerExit,
    /// What its programs said on standard error, without the dump.
    pub(crate) stderr: String,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) findings: Vec<Finding>,
    /// What cannot be told of it.
    pub(crate) doubts: Vec<String>,
}

/// What of a run tells how it ended.
struct Seen<'a> {
    run: &'a SchedulerRun,
    said: Said,
    ends: Vec<KernelEnd>,
}

/// Classifies a run. `watchdog` is the time after which the kernel takes a task for stalled, where the test says it.
pub(crate) fn classify(run: &SchedulerRun, watchdog: Option<Duration>) -> Came {
    let seen = Seen { run, said: program::read(&run.stderr), ends: kernel::ends(&run.kernel) };
    let teller = Teller { seen: &seen, watchdog };
    let mut came = Came::default();
    let class = seen.class();
    came.exit = seen.exit(class);
    came.findings.extend(teller.finding(class));
    came.findings.extend(seen.bad_stop().filter(|stop| *stop != class).and_then(|stop| teller.finding(stop)));
    came.doubts.extend(teller.doubts());
    came.restarts = seen.restarts();
    came.stderr = seen.said.text;
    came
}

impl Seen<'_> {
    fn class(&self) -> SchedulerClass {
        if self.bpf_fault().is_some() {
            return SchedulerClass::BpfFault;
        }
        if let Some(reason) = self.error() {
            return kernel::sort_of(reason).1;
        }
        match &self.run.end {
            _ if self.run.enabled.is_empty() => self.class_unless_enabled(),
            Some(SchedulerEnd { cause: EndCause::Asked, .. }) => self.class_when_asked(),
            _ => self.class_by_itself(),
        }
    }

    /// The times that it was enabled once more, or that its process went on without. Each has an `EXIT:` line of its own, where the program prints these.
    fn restarts(&self) -> Vec<Restart> {
        let spans = &self.run.enabled;
        let next = spans.iter().skip(1).map(|span| Some(span.from_ns)).chain([None]);
        let words = self.said.exits.iter().map(|exit| exit.message.as_str()).chain(std::iter::repeat(""));
        let went_on = |enabled_ns: &Option<u64>| enabled_ns.is_some() || self.was_asked();
        let restart = |((span, enabled_ns), why): ((&EnabledSpan, Option<u64>), &str)| {
            let disabled_ns = span.disabled_ns.filter(|_| went_on(&enabled_ns))?;
            Some(Restart { disabled_ns, enabled_ns, why: why.to_owned() })
        };
        spans.iter().zip(next).zip(words).filter_map(restart).collect()
    }

    /// The kernel's reason where the scheduler did wrong.
    fn error(&self) -> Option<&str> {
        let logged = self.ends.iter().find(|end| end.is_error()).map(|end| end.reason.as_str());
        // The kernel's log may have lost it.
        let is_error = |reason: &str| kernel::sort_of(reason).0.is_some_and(|kind| kind >= 1024);
        logged.or_else(|| self.said.exits.iter().map(|exit| exit.reason.as_str()).find(|reason| is_error(reason)))
    }

    /// It never was enabled, as far as was seen.
    fn class_unless_enabled(&self) -> SchedulerClass {
        match &self.run.end {
            None => SchedulerClass::Unknown,
            Some(end) => match end.cause {
                EndCause::NotStarted(_) => SchedulerClass::Unknown,
                _ if self.said.rejected.is_some() || self.rejected_program().is_some() => SchedulerClass::Rejected,
                EndCause::NotEnabled => SchedulerClass::NotEnabled,
                EndCause::Itself if self.errno().is_some() => SchedulerClass::Refused,
                EndCause::Itself => SchedulerClass::Exited,
                EndCause::Asked => SchedulerClass::Unknown,
            },
        }
    }

    /// It was enabled, and ended when it was asked to.
    fn class_when_asked(&self) -> SchedulerClass {
        // The last end is the one that was asked for.
        let asked_for = self.ends.iter().rposition(|end| end.reason == "unregistered from user space");
        let before = &self.ends[..asked_for.unwrap_or(self.ends.len())];
        let mut classes = before.iter().map(|end| kernel::sort_of(&end.reason).1);
        // One that loads itself again after a CPU came or went, as it is meant to, has done no wrong.
        let unasked = classes.find(|class| *class != SchedulerClass::UnregisteredByKernel);
        let was_disabled = || self.run.enabled.iter().filter(|span| span.disabled_ns.is_some()).count();
        match unasked {
            Some(class) => class,
            None if was_disabled() > before.len() => SchedulerClass::Disabled,
            None => self.bad_stop().unwrap_or(SchedulerClass::Clean),
        }
    }

    fn was_asked(&self) -> bool {
        self.run.end.as_ref().is_some_and(|end| end.cause == EndCause::Asked)
    }

    /// It was enabled, and the kernel or its process ended it.
    fn class_by_itself(&self) -> SchedulerClass {
        let status = self.run.end.as_ref().and_then(|end| end.status.as_ref());
        let exited = status.is_some_and(|status| *status != ExitStatus::Code(0));
        match self.ends.last().map(|end| kernel::sort_of(&end.reason).1) {
            // The kernel says so of a process that just ended, too.
            Some(SchedulerClass::Unregistered) if exited || self.said.exits.is_empty() => SchedulerClass::Exited,
            Some(class) => class,
            None if self.run.end.is_none() && self.run.enabled.iter().all(|span| span.disabled_ns.is_none()) => {
                SchedulerClass::Unknown
            }
            None if exited => SchedulerClass::Exited,
            None => SchedulerClass::Disabled,
        }
    }

    /// What is wrong with how its process ended when it was asked to.
    fn bad_stop(&self) -> Option<SchedulerClass> {
        let end = self.run.end.as_ref()?;
        if end.killed {
            return Some(SchedulerClass::Killed);
        }
        // One that was being loaded just then may fail with that.
        let is_enabled = self.run.enabled.last().is_some_and(|span| span.disabled_ns.is_none());
        let asked = end.cause == EndCause::Asked && is_enabled;
        let is_bad = match end.status {
            // As a shell says of a program that a signal ended; the signal itself is one that it was sent.
            Some(ExitStatus::Code(code)) => code != 0 && !(128..160).contains(&code),
            Some(ExitStatus::Signal(signal)) => !ASKING_SIGNALS.contains(&signal),
            Some(ExitStatus::Deadline) => true,
            None => false,
        };
        (asked && is_bad).then_some(SchedulerClass::EndedBadly)
    }

    fn exit(&self, class: SchedulerClass) -> SchedulerExit {
        let end = self.told_end(class);
        let said = self.said.exits.last();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let reason = end.map(|end| end.reason.as_str()).or(said.map(|exit| exit.reason.as_str()));
        let message = end.and_then(|end| text(&end.message)).or_else(|| said.and_then(|exit| text(&exit.message)));
        let kind = program::kind(&self.said.dump).or_else(|| kernel::sort_of(reason?).0);
        SchedulerExit { class, kind, reason: reason.map(str::to_owned), message, dump: self.said.dump.clone() }
    }

    /// The end that the kernel told, of this sort if there is one.
    fn told_end(&self, class: SchedulerClass) -> Option<&KernelEnd> {
        let of_class = self.ends.iter().find(|end| kernel::sort_of(&end.reason).1 == class);
        of_class.or_else(|| self.ends.last())
    }

    /// An error number that libbpf or the scheduler shows, and otherwise what sched_ext complains of.
    fn errno(&self) -> Option<String> {
        program::errno(&self.said.text).or_else(|| kernel::complaint(&self.run.kernel))
    }

    /// The last program that the kernel did not take, where it said why.
    fn rejected_program(&self) -> Option<&crate::scheduler::ProgramRun> {
        self.run.programs.iter().rfind(|program| program.load.errno != 0 && !program.log.is_empty())
    }

    /// What tells that a BPF program did wrong at run time: a splat of the kernel in its code, or what the kernel writes
    /// into the program's stream (kernel/bpf/stream.c), if the scheduler shows that.
    fn bpf_fault(&self) -> Option<Vec<String>> {
        let streamed = self.said.text.lines().find(|line| STREAMED_FAULTS.iter().any(|words| line.contains(words)));
        if let Some(line) = streamed {
            return Some(vec![line.to_owned()]);
        }
        let texts: Vec<&str> = self.run.kernel.iter().map(|line| kernel::text(&line.line)).collect();
        let splats = texts.iter().enumerate().filter(|(_, text)| is_splat(text));
        let near = splats.map(|(at, _)| &texts[at..texts.len().min(at + SPLAT_LINES)]);
        let faults = |lines: &[&str]| lines.iter().any(|line| line.contains("RIP: ") && line.contains(":bpf_prog_"));
        near.into_iter().find(|lines| faults(lines)).map(|lines| lines.iter().map(|line| (*line).to_owned()).collect())
    }
}

/// Signals that programs are asked to end with.
const ASKING_SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// What the kernel says into the stream of a BPF program that it stopped.
const STREAMED_FAULTS: [&str; 3] =
    ["ERROR: Arena ", "ERROR: Timeout detected for may_goto", "deadlock detected for bpf_res_spin_lock"];

/// Within so many lines a splat says where it was.
const SPLAT_LINES: usize = 24;
