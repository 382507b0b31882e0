//! What the agent tells of schedulers, put together. All of it is the guest's word, and kept within bounds.

use crate::host::console::Ends;
use crate::scheduler::{EnabledSpan, KernelLine, MapWritten, ProgramRun, SchedulerRun};
use ktstr_wire::Stream;
use ktstr_wire::scheduler::SchedulerEvent;

/// The most runs: a test that restarts its scheduler every 100 ms for half a minute has fewer.
const MAX_RUNS: usize = 300;

/// The most that is kept of each of a run's output streams: a dump of sched_ext is 32 KiB, or what the scheduler asks for.
const MAX_OUTPUT_BYTES: usize = 256 << 10;

/// The most lines of the kernel's log of one run. The first ones tell.
const MAX_KERNEL_LINES: usize = 2000;

/// The most bytes of such a line; the kernel's own limit is about a thousand.
const MAX_LINE_BYTES: usize = 2 << 10;

/// The most BPF programs of one run.
const MAX_PROGRAMS: usize = 500;

/// The most times that one run is enabled, and the most timed writes.
const MAX_SPANS: usize = 1000;
const MAX_WRITES: usize = 10_000;

/// The most that is kept of a program's log.
const MAX_LOG_BYTES: usize = 1 << 20;

/// What was told so far.
#[derive(Debug, Default)]
pub(crate) struct Schedulers {
    runs: Vec<Open>,
    /// Runs that came when there were too many.
    left_out: usize,
}

/// A run, of which more may come.
#[derive(Debug)]
struct Open {
    run: SchedulerRun,
    stdout: Ends,
    stderr: Ends,
    logs: Vec<Ends>,
}

/// An event that is not as it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    /// There is no scheduler that it could be about.
    #[error("the agent told something of a scheduler that was not started")]
    NoRun,
    /// It told this before.
    #[error("the agent told twice that the scheduler {name} {what}")]
    Twice { name: String, what: &'static str },
    /// It was not enabled.
    #[error("the agent told that the scheduler {name} was disabled, which was not enabled")]
    NotEnabled { name: String },
    /// One starts before the other has ended.
    #[error("the agent started a scheduler before {name} had ended")]
    Overlap { name: String },
    /// A log without a program.
    #[error("the agent sent a verifier's log of no program")]
    NoProgram,
    /// Too many came before it.
    #[error("the agent told of more than {most} {what}; what came beyond that is left out")]
    TooMany { most: usize, what: &'static str },
}

impl Schedulers {
    /// Takes in an event.
    pub(crate) fn take(&mut self, event: SchedulerEvent) -> Result<(), EventError> {
        if let SchedulerEvent::Starting { name, at_ns } = event {
            return self.start(name, at_ns);
        }
        if self.left_out > 0 {
            return Ok(());
        }
        self.runs.last_mut().ok_or(EventError::NoRun)?.take(event)
    }

    fn start(&mut self, name: String, at_ns: u64) -> Result<(), EventError> {
        if self.runs.len() >= MAX_RUNS {
            self.left_out += 1;
            return Err(EventError::TooMany { most: MAX_RUNS, what: "runs of schedulers" });
        }
        let unfinished = self.runs.last().filter(|open| open.run.end.is_none()).map(|open| open.run.name.clone());
        let name = cut(name);
        self.runs.push(Open {
            run: SchedulerRun { name, starting_ns: at_ns, ..SchedulerRun::default() },
            stdout: Ends::new(MAX_OUTPUT_BYTES),
            stderr: Ends::new(MAX_OUTPUT_BYTES),
            logs: Vec::new(),
        });
        unfinished.map_or(Ok(()), |name| Err(EventError::Overlap { name }))
    }

    /// All runs, in order.
    pub(crate) fn into_runs(self) -> Vec<SchedulerRun> {
        self.runs.into_iter().map(Open::close).collect()
    }
}

impl Open {
    fn take(&mut self, event: SchedulerEvent) -> Result<(), EventError> {
        let run = &mut self.run;
        let twice = |what| EventError::Twice { name: run.name.clone(), what };
        match event {
            // Taken before it comes here.
            SchedulerEvent::Starting { .. } => {}
            SchedulerEvent::Program(mut load) => {
                load.name = cut(load.name);
                let program = ProgramRun { load, log: String::new() };
                push(&mut run.programs, program, MAX_PROGRAMS, "programs of a scheduler")?;
                self.logs.push(Ends::new(MAX_LOG_BYTES));
            }
            SchedulerEvent::ProgramLog(bytes) => self.logs.last_mut().ok_or(EventError::NoProgram)?.push(&bytes),
            SchedulerEvent::Enabled { .. } if run.enabled.last().is_some_and(|span| span.disabled_ns.is_none()) => {
                return Err(twice("was enabled"));
            }
            SchedulerEvent::Enabled { ops, pid, at_ns } => {
                run.pid = pid;
                let span = EnabledSpan { ops: cut(ops), from_ns: at_ns, disabled_ns: None };
                return push(&mut run.enabled, span, MAX_SPANS, "times that a scheduler was enabled");
            }
            SchedulerEvent::Output { stream: Stream::Stdout, bytes } => self.stdout.push(&bytes),
            SchedulerEvent::Output { stream: Stream::Stderr, bytes } => self.stderr.push(&bytes),
            SchedulerEvent::Kernel { .. } if run.kernel.len() > MAX_KERNEL_LINES => {}
            SchedulerEvent::Kernel { at_ns, .. } if run.kernel.len() == MAX_KERNEL_LINES => {
                run.kernel.push(KernelLine { at_ns, line: "[ktstr: what follows is left out]".to_owned() });
            }
            SchedulerEvent::Kernel { at_ns, line } => run.kernel.push(KernelLine { at_ns, line: cut(line) }),
            SchedulerEvent::KernelMissed { left_out, overwritten } => {
                run.kernel_lines_missed = run.kernel_lines_missed.saturating_add(left_out).saturating_add(overwritten);
            }
            SchedulerEvent::MapWritten { number, at_ns } => {
                return push(&mut run.map_writes, MapWritten { number, at_ns }, MAX_WRITES, "writes into maps");
            }
            SchedulerEvent::Disabled { at_ns } => match run.enabled.last_mut() {
                Some(span) if span.disabled_ns.is_none() => span.disabled_ns = Some(at_ns),
                Some(_) => return Err(twice("was disabled")),
                None => return Err(EventError::NotEnabled { name: run.name.clone() }),
            },
            SchedulerEvent::Ended(_) if run.end.is_some() => return Err(twice("had ended")),
            SchedulerEvent::Ended(end) => run.end = Some(end),
        }
        Ok(())
    }

    fn close(self) -> SchedulerRun {
        let mut run = self.run;
        (run.stdout, run.stderr) = (self.stdout.into_text(), self.stderr.into_text());
        for (program, log) in run.programs.iter_mut().zip(self.logs) {
            program.log = log.into_text();
        }
        run
    }
}

fn push<T>(all: &mut Vec<T>, one: T, most: usize, what: &'static str) -> Result<(), EventError> {
    if all.len() >= most {
        return Err(EventError::TooMany { most, what });
    }
    all.push(one);
    Ok(())
}

/// Within [`MAX_LINE_BYTES`].
pub(super) fn cut(mut text: String) -> String {
    let mut end = text.len().min(MAX_LINE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::scheduler::{EndCause, ProgramLoad, SchedulerEnd};

    fn starting(name: &str) -> SchedulerEvent {
        SchedulerEvent::Starting { name: name.to_owned(), at_ns: 10 }
    }

    fn enabled() -> SchedulerEvent {
        SchedulerEvent::Enabled { ops: "simple".to_owned(), pid: Some(7), at_ns: 30 }
    }

    fn output(stream: Stream, text: &str) -> SchedulerEvent {
        SchedulerEvent::Output { stream, bytes: text.as_bytes().to_vec() }
    }

    fn kernel(text: &str) -> SchedulerEvent {
        SchedulerEvent::Kernel { at_ns: 35, line: text.to_owned() }
    }

    fn ended() -> SchedulerEvent {
        let (cause, state) = (EndCause::Asked, "disabled".to_owned());
        SchedulerEvent::Ended(SchedulerEnd { at_ns: 40, cause, status: None, killed: false, state })
    }

    fn program() -> SchedulerEvent {
        SchedulerEvent::Program(ProgramLoad {
            name: "enqueue".to_owned(),
            function: None,
            kind: 27,
            attach_kind: 0,
            insns: 1,
            errno: 0,
            took_ns: 1,
            verified_insns: None,
            xlated_bytes: 1,
            jited_bytes: 1,
            log_bytes: 0,
            log_lost_bytes: 0,
        })
    }

    /// The runs, and what was wrong.
    fn check(events: impl IntoIterator<Item = SchedulerEvent>) -> (Vec<SchedulerRun>, Vec<String>) {
        let mut schedulers = Schedulers::default();
        let wrong = events.into_iter().filter_map(|event| schedulers.take(event).err());
        let wrong = wrong.map(|error| error.to_string()).collect();
        (schedulers.into_runs(), wrong)
    }

    #[test]
    fn events_make_a_run() {
        let log = SchedulerEvent::ProgramLog(b"0: (b7)".to_vec());
        let (runs, wrong) = check([
            starting("one"),
            program(),
            log,
            enabled(),
            output(Stream::Stdout, "a"),
            output(Stream::Stderr, "b"),
            output(Stream::Stdout, "c"),
            kernel("6: x"),
            SchedulerEvent::Disabled { at_ns: 38 },
            SchedulerEvent::Enabled { ops: "again".to_owned(), pid: Some(7), at_ns: 39 },
            SchedulerEvent::MapWritten { number: 1, at_ns: 40 },
            SchedulerEvent::KernelMissed { left_out: 2, overwritten: 1 },
            ended(),
            starting("two"),
        ]);
        assert_eq!((runs.len(), wrong), (2, vec![]));
        let run = &runs[0];
        assert_eq!((run.stdout.as_str(), run.stderr.as_str(), run.kernel[0].line.as_str()), ("ac", "b", "6: x"));
        assert_eq!((run.load_ns(), run.ops(), run.pid), (Some(20), Some("again"), Some(7)));
        assert_eq!(run.enabled.iter().map(|span| span.disabled_ns).collect::<Vec<_>>(), [Some(38), None]);
        assert_eq!((run.kernel_lines_missed, run.map_writes[0].number), (3, 1));
        assert_eq!((run.programs[0].log.as_str(), run.end.is_some()), ("0: (b7)", true));
        assert_eq!((runs[1].name.as_str(), runs[1].end.is_some()), ("two", false));
    }

    #[test]
    fn what_does_not_belong_is_told() {
        assert_eq!(check([enabled()]).1, ["the agent told something of a scheduler that was not started"]);
        let twice = check([starting("one"), enabled(), enabled(), ended(), ended()]).1;
        assert_eq!(twice.len(), 2, "{twice:?}");
        assert_eq!(check([starting("one"), starting("two")]).1, ["the agent started a scheduler before one had ended"]);
        let disabled = || SchedulerEvent::Disabled { at_ns: 38 };
        let early = check([starting("one"), disabled(), enabled(), disabled(), disabled()]).1;
        assert!(early.len() == 2 && early[0].contains("which was not enabled"), "{early:?}");
        let log = SchedulerEvent::ProgramLog(Vec::new());
        assert_eq!(check([starting("one"), log]).1, ["the agent sent a verifier's log of no program"]);
    }

    #[test]
    fn no_guest_tells_without_end() {
        let (runs, wrong) = check((0..MAX_RUNS + 2).flat_map(|_| [starting("one"), ended()]));
        assert_eq!((runs.len(), wrong.len()), (MAX_RUNS, 2));
        let many = |event: SchedulerEvent, count| check([starting("one")].into_iter().chain(vec![event; count]));
        let (runs, _) = many(kernel(&format!("x{}", "ü".repeat(1 << 20))), 20);
        assert!(runs[0].kernel.iter().all(|line| line.line.len() == MAX_LINE_BYTES - 1));
        assert_eq!(many(kernel("x"), 3 * MAX_KERNEL_LINES).0[0].kernel.len(), MAX_KERNEL_LINES + 1);
        assert!(many(output(Stream::Stderr, &"x".repeat(1 << 20)), 20).0[0].stderr.len() < MAX_OUTPUT_BYTES + 100);
        assert_eq!(many(program(), MAX_PROGRAMS + 1).1.len(), 1);
    }
}
