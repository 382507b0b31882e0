//! What the agent told of a scheduler's programs, and what follows from it.

use super::runs::Run;
use ktstr_verifier::Program;
use ktstr_wire::scheduler::{EndCause, ProgramLoad, SchedulerEvent};
use ktstr_wire::{ExitStatus, Stream};
use serde::Serialize;
use std::collections::VecDeque;

/// What a guest can make us keep.
const MOST_PROGRAMS: usize = 1024;
const MOST_LOG_BYTES: usize = 256 << 20;
const MOST_OUTPUT_BYTES: usize = 4 << 20;
const MOST_CONSOLE_BYTES: usize = 16 << 10;
const MOST_NOTES: usize = 64;

/// `BPF_PROG_TYPE_STRUCT_OPS`: a scheduler's operations.
const STRUCT_OPS: u32 = 27;
/// `BPF_PROG_TYPE_SYSCALL`, and the name of the program that loads the others (tools/lib/bpf/skel_internal.h).
const LIGHT_SKELETON: (u32, &str) = (31, "__loader.prog");

/// Lines of the scheduler's output that explain an end.
const SHOWN_LINES: usize = 20;
/// And what of each is shown.
const SHOWN_CHARS: usize = 500;

/// A program that was loaded, or not, and its log.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) program: ProgramLoad,
    pub(super) log: Vec<u8>,
    /// Bytes of the log that were too many for us.
    dropped_bytes: u64,
}

/// All that was told.
#[derive(Debug, Default)]
pub(super) struct Loads {
    pub(super) programs: Vec<Load>,
    log_bytes: usize,
    output: VecDeque<u8>,
    console: VecDeque<u8>,
    is_enabled: bool,
    /// Whether the agent, or we, could not do something.
    has_faults: bool,
    /// What went wrong, in words.
    notes: Vec<String>,
}

/// A run of one scheduler, as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Scheduler, kernel and profile.
    pub(super) run: String,
    /// Its programs, in the order in which they were loaded.
    pub(super) programs: Vec<Program>,
    /// Counts of logs that are not the kernel's, and logs that are not whole.
    pub(super) notes: Vec<String>,
    /// Why it cannot be told what the verifier thinks.
    pub(super) unknown: Option<String>,
    #[serde(skip)]
    pub(super) logs: Vec<Vec<u8>>,
}

impl Loads {
    /// Takes what the agent tells.
    pub(super) fn take(&mut self, event: SchedulerEvent) {
        match event {
            SchedulerEvent::Program(program) => {
                if self.programs.len() < MOST_PROGRAMS {
                    self.programs.push(Load { program, log: Vec::new(), dropped_bytes: 0 });
                } else {
                    self.has_faults = true;
                    self.note(format!("more than {MOST_PROGRAMS} programs were told of"));
                }
            }
            SchedulerEvent::ProgramLog(piece) => self.log(&piece),
            SchedulerEvent::Enabled { .. } => self.is_enabled = true,
            SchedulerEvent::Output { stream: Stream::Stderr | Stream::Stdout, bytes } => {
                keep(&mut self.output, &bytes, MOST_OUTPUT_BYTES);
            }
            SchedulerEvent::Ended(end) => match end.cause {
                EndCause::NotStarted(why) => self.note(format!("the scheduler could not be started: {why}")),
                EndCause::NotEnabled => {
                    self.note("the kernel did not enable the scheduler in time: --timeout gives it more".to_owned())
                }
                EndCause::Itself => self.note(format!("the scheduler ended by itself, {}", how(end.status.as_ref()))),
                EndCause::Asked => {}
            },
            _ => {}
        }
    }

    fn log(&mut self, piece: &[u8]) {
        let Some(load) = self.programs.last_mut() else { return };
        let kept = piece.len().min(MOST_LOG_BYTES - self.log_bytes);
        load.log.extend_from_slice(&piece[..kept]);
        load.dropped_bytes += (piece.len() - kept) as u64;
        self.log_bytes += kept;
    }

    /// What the agent could not do.
    pub(super) fn fault(&mut self, what: String) {
        self.has_faults = true;
        self.note(format!("in the guest: {what}"));
    }

    /// What the kernel prints.
    pub(super) fn console(&mut self, bytes: &[u8]) {
        keep(&mut self.console, bytes, MOST_CONSOLE_BYTES);
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }

    /// What is made of it.
    pub(super) fn report(mut self, run: &Run) -> Report {
        let file = run.scheduler.name();
        let programs: Vec<_> = self.programs.iter().map(|load| load.analyse(&file)).collect();
        let unknown = self.unknown(&programs);
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.programs.iter().filter_map(Load::lost));
        notes.extend(programs.iter().filter_map(mismatch));
        let logs = self.programs.into_iter().map(|load| load.log).collect();
        Report { run: run.to_string(), programs, notes, unknown, logs }
    }

    /// Why it is not known what becomes of all programs, with the last that scheduler and kernel said.
    fn unknown(&self, programs: &[Program]) -> Option<String> {
        let why = self.gap(programs)?;
        let output = self.output.iter().copied().collect::<Vec<_>>();
        let console = self.console.iter().copied().collect::<Vec<_>>();
        let tail = |name: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            let lines = ktstr::last_lines(&text, SHOWN_LINES);
            let shown = lines.iter().map(|line| line.chars().take(SHOWN_CHARS).collect::<String>());
            shown.map(|line| format!("\n    {name}: {line}")).collect::<String>()
        };
        Some(format!("{why}{}{}", tail("scheduler", &output), tail("console", &console)))
    }

    /// What of the answer is missing. A program that was refused is the answer.
    fn gap(&self, programs: &[Program]) -> Option<String> {
        let has = |fits: fn(&ProgramLoad) -> bool| self.programs.iter().any(|load| fits(&load.program));
        let without_figures = programs.iter().find(|program| program.stats.insns.is_none());
        let why = if programs.iter().any(|program| !program.is_loaded()) {
            return None;
        } else if !self.is_enabled {
            "the scheduler was not enabled, and the verifier refused nothing"
        } else if has(|program| (program.kind, program.name.as_str()) == LIGHT_SKELETON) {
            "a light skeleton loads programs in the kernel, where they cannot be seen: build the scheduler with an ordinary skeleton"
        } else if !has(|program| program.kind == STRUCT_OPS) {
            "the scheduler was enabled, and none of its operations was seen: does another program load them?"
        } else if let Some(program) = without_figures {
            return Some(format!("{}: its log has no figures", program.name));
        } else if self.has_faults {
            "not all was done in the guest, see above"
        } else {
            return None;
        };
        Some(why.to_owned())
    }
}

fn how(status: Option<&ExitStatus>) -> String {
    match status {
        Some(ExitStatus::Code(code)) => format!("with exit code {code}"),
        Some(ExitStatus::Signal(signal)) => format!("of signal {signal}"),
        Some(ExitStatus::Deadline) | None => "nobody knows how".to_owned(),
    }
}

fn keep(kept: &mut VecDeque<u8>, bytes: &[u8], most: usize) {
    kept.extend(&bytes[bytes.len().saturating_sub(most)..]);
    kept.drain(..kept.len().saturating_sub(most));
}

impl Load {
    /// The function's, or what the kernel knows of it.
    fn name(&self) -> &str {
        self.program.function.as_ref().unwrap_or(&self.program.name)
    }

    fn analyse(&self, file: &str) -> Program {
        let ProgramLoad { kind, attach_kind, insns, jited_bytes, .. } = self.program;
        let mut program = Program::of(file, self.name(), &self.log, self.program.errno == 0);
        program.verified_insns = self.program.verified_insns.map(u64::from);
        program.load =
            Some(ktstr_verifier::Load { kind, attach_kind, insns: insns.into(), jited_bytes: jited_bytes.into() });
        program
    }

    fn lost(&self) -> Option<String> {
        let bytes = self.program.log_lost_bytes.saturating_add(self.dropped_bytes);
        let name = self.name();
        (bytes > 0).then(|| format!("{name}: {bytes} bytes of its log are missing: there was no room for more"))
    }
}

fn mismatch(program: &Program) -> Option<String> {
    let (log, kernel) = program.mismatch()?;
    Some(format!("{}: its log counts {log} instructions, and the kernel says that it verified {kernel}", program.name))
}

impl Report {
    /// Whether the verifier's opinion of some program is not known.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// Whether a program was refused, or is not what its log says.
    pub(super) fn is_refused(&self) -> bool {
        self.programs.iter().any(|program| !program.is_loaded() || program.mismatch().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_verifier::compare::programs_table;

    const PROCESSED: &[u8] = b"processed 9 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1\n";

    fn program(name: &str, errno: i32, verified_insns: Option<u32>) -> SchedulerEvent {
        program_of(27, name, errno, verified_insns)
    }

    fn program_of(kind: u32, name: &str, errno: i32, verified_insns: Option<u32>) -> SchedulerEvent {
        let name = name.to_owned();
        SchedulerEvent::Program(ProgramLoad {
            name,
            function: None,
            kind,
            attach_kind: 0,
            insns: 9,
            errno,
            took_ns: 1,
            verified_insns,
            xlated_bytes: 0,
            jited_bytes: 0,
            log_bytes: 0,
            log_lost_bytes: 0,
        })
    }

    fn enabled() -> SchedulerEvent {
        SchedulerEvent::Enabled { ops: "a".to_owned(), pid: Some(1), at_ns: 1 }
    }

    fn report(events: Vec<SchedulerEvent>) -> Report {
        let mut loads = Loads::default();
        events.into_iter().for_each(|event| loads.take(event));
        report_of(loads)
    }

    fn report_of(loads: Loads) -> Report {
        let kernel = "latest".parse().unwrap();
        loads.report(&Run { scheduler: "a".parse().unwrap(), kernel, profile: Default::default() })
    }

    #[track_caller]
    fn check(events: Vec<SchedulerEvent>, is_refused: bool, unknown: Option<&str>) {
        let report = report(events);
        assert_eq!(report.is_refused(), is_refused, "{}", programs_table(&report.programs));
        assert_eq!(report.unknown.is_some(), unknown.is_some(), "{:?}", report.unknown);
        assert!(report.unknown.unwrap_or_default().contains(unknown.unwrap_or_default()));
    }

    #[test]
    fn what_is_known() {
        let log = || SchedulerEvent::ProgramLog(PROCESSED.to_vec());
        check(vec![program("p", 0, Some(9)), log(), enabled()], false, None);
        check(vec![program("p", 0, Some(8)), log(), enabled()], true, None);
        check(vec![program("p", 13, None), log()], true, None);
    }

    #[test]
    fn what_is_not_known() {
        let said = SchedulerEvent::Output { stream: Stream::Stderr, bytes: b"no such option\n".to_vec() };
        check(vec![said], false, Some("scheduler: no such option"));
        check(vec![enabled()], false, Some("none of its operations was seen"));
        check(vec![program_of(31, "p", 0, Some(9)), enabled()], false, Some("none of its operations was seen"));
        let loader = program_of(31, "__loader.prog", 0, Some(9));
        check(vec![loader.clone(), program("p", 0, Some(9)), enabled()], false, Some("a light skeleton"));
        check(vec![program("p", 0, Some(9))], false, Some("was not enabled"));
        check(vec![program("p", 0, Some(9)), enabled()], false, Some("p: its log has no figures"));
    }

    #[test]
    fn what_was_not_done_is_not_known() {
        let mut loads = Loads::default();
        let log = SchedulerEvent::ProgramLog(PROCESSED.to_vec());
        [program("p", 0, Some(9)), log, enabled()].into_iter().for_each(|event| loads.take(event));
        loads.fault("no verifier log of the program q: no memory for it".to_owned());
        let report = report_of(loads);
        assert!(report.unknown.unwrap().contains("not all was done"));
        assert_eq!(report.notes, ["in the guest: no verifier log of the program q: no memory for it"]);
    }

    #[test]
    fn pieces_of_a_log_belong_together() {
        let (a, b) = PROCESSED.split_at(20);
        let pieces = [a, b].map(|piece| SchedulerEvent::ProgramLog(piece.to_vec()));
        let report = report([program("p", 0, Some(9))].into_iter().chain(pieces).chain([enabled()]).collect());
        assert_eq!(report.programs[0].stats.insns, Some(9));
        assert_eq!(report.logs, [PROCESSED.to_vec()]);
        assert!(report.notes.is_empty(), "{:?}", report.notes);
    }
}
