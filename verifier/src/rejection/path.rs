//! From the refused instruction back to where the program began.
//!
//! The verifier explores depth first. At a branch it goes on with one side and puts the other off; when a path has come to
//! its end, it takes up what it put off last (`from 12 to 20: …`). At level 2 the log has all of that, so the path of a
//! later branch begins somewhere in the middle of an earlier one. Branches are put off and taken up like brackets open and
//! close: going backwards, each that is taken up waits for the instruction that put it off, and while any waits, what is
//! passed belongs to other paths. At level 1 the kernel removes what other paths wrote, and the log is the path.
//!
//! Source: `do_check`, `push_stack` and `pop_stack` in kernel/bpf/verifier.c.

use super::{FailedInsn, SourceLine};
use crate::line::{Branch, Insn, Line, Source};
use crate::lines::backwards;
use crate::state::State;
use std::ops::Range;

/// Stretches of a path, and branches that wait. The kernel puts off at most `BPF_COMPLEXITY_LIMIT_JMP_SEQ` = 8192.
const MOST_STRETCHES: usize = 1 << 14;
const MOST_WAITING: usize = 1 << 14;

/// Registers and slots that are told; a frame has 11 and 64.
const MOST_VALUES: usize = 128;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) insn: Option<FailedInsn>,
    pub(super) source: Option<SourceLine>,
    pub(super) state: Vec<(String, String)>,
    pub(super) path: Vec<Range<usize>>,
    pub(super) is_whole: bool,
}

/// Goes back from the end of a log without message.
pub(super) fn walk(log: &[u8]) -> Walk {
    let mut back = Back { end: log.len(), ..Back::default() };
    for (start, bytes) in backwards(log) {
        let line = Line::parse_bytes(bytes);
        if back.begins(line) {
            back.walk.is_whole = true;
            break;
        }
        back.take(line, start, (start + bytes.len() + 1).min(log.len()));
        if back.walk.path.len() == MOST_STRETCHES || back.waiting.len() == MOST_WAITING {
            back.end = back.start;
            break;
        }
    }
    back.finish()
}

#[derive(Default)]
struct Back {
    walk: Walk,
    /// Branches that were taken up, the last one first to be found.
    waiting: Vec<(u32, u32)>,
    /// Where the present stretch of the path ends, and where it begins so far.
    end: usize,
    start: usize,
    /// The instruction after the one that is looked at, in the same stretch of the log.
    next: Option<u32>,
    /// The first instruction of the path so far.
    first_insn: Option<u32>,
    values: Values,
}

impl Back {
    /// Whether the path cannot go back beyond this line.
    fn begins(&self, line: Line<'_>) -> bool {
        match line {
            Line::Validating { .. } | Line::Validated | Line::Function { .. } | Line::Listing(_) => true,
            // At level 1, another function's figures or messages may be before it.
            _ => false,
        }
    }

    fn take(&mut self, line: Line<'_>, start: usize, end: usize) {
        if let Line::Source(source) = line
            && self.walk.source.is_none()
        {
            // The kernel names a source line when it differs from the one that it named last, on whatever path.
            self.walk.source = Some(owned(source));
        }
        if self.waiting.is_empty() {
            self.start = start;
            self.on_path(line);
        } else if let Line::Insn(insn) = line {
            self.pass(insn, start, end);
        } else if let Line::Branch(branch) = line {
            self.wait(branch);
        }
    }

    fn on_path(&mut self, line: Line<'_>) {
        match line {
            Line::Insn(insn) => {
                if self.walk.insn.is_none() {
                    self.walk.insn = Some(FailedInsn { index: insn.index, text: insn.text.to_owned() });
                }
                self.values.insn(insn);
                self.first_insn = Some(insn.index);
                self.next = Some(insn.index);
            }
            Line::State { index, state } => self.values.update(state, index.is_none()),
            Line::Branch(branch) => {
                self.values.update(branch.state.unwrap_or_default(), true);
                self.close();
                self.wait(branch);
            }
            _ => {}
        }
    }

    fn wait(&mut self, branch: Branch<'_>) {
        self.waiting.push((branch.from, branch.to));
        self.next = None;
    }

    /// Passes an instruction of another path, which may have put off the branch that waits.
    fn pass(&mut self, insn: Insn<'_>, start: usize, end: usize) {
        let next = self.next.replace(insn.index);
        let is_it =
            self.waiting.last().is_some_and(|(from, to)| *from == insn.index && (next != Some(*to) || !branches(insn)));
        if !is_it {
            return;
        }
        self.waiting.pop();
        if self.waiting.is_empty() {
            (self.start, self.end) = (start, end);
            self.first_insn = Some(insn.index);
        }
    }

    fn close(&mut self) {
        if self.start < self.end {
            self.walk.path.push(self.start..self.end);
        }
    }

    fn finish(mut self) -> Walk {
        if self.waiting.is_empty() {
            self.close();
            // A log that nothing was cut off begins with the first instruction.
            self.walk.is_whole |= self.first_insn == Some(0);
        } else {
            self.walk.is_whole = false;
        }
        self.walk.path.reverse();
        self.walk.state = self.values.finish();
        self.walk
    }
}

/// Whether an instruction goes on at one of two places. Others that put a path off do so with a state of another kind, and
/// may go on at the same place.
fn branches(insn: Insn<'_>) -> bool {
    insn.text.contains(" if ")
}

fn owned(source: Source<'_>) -> SourceLine {
    SourceLine {
        file: source.place.map(|(file, _)| file.to_owned()),
        line: source.place.map(|(_, line)| line),
        text: source.text.trim_end().to_owned(),
    }
}

/// What was last known of the frame that the path ends in, found from the end.
#[derive(Default)]
struct Values {
    found: Vec<(String, String)>,
    /// The frame, once a state has told it.
    frame: Option<u32>,
    /// Registers that a call has made unreadable.
    are_arguments_lost: bool,
    is_whole: bool,
}

impl Values {
    fn insn(&mut self, insn: Insn<'_>) {
        if let Some(state) = insn.resumed {
            self.update(state, true);
        } else if let Some(state) = insn.state {
            self.update(state, false);
        }
        // A call leaves nothing in R1 to R5.
        self.are_arguments_lost |= insn.text.starts_with("(85) call");
    }

    /// Takes a state that is older than what was found; `is_all` when it tells all of its frame.
    fn update(&mut self, state: State<'_>, is_all: bool) {
        if self.is_whole || *self.frame.get_or_insert(state.frame) != state.frame {
            return;
        }
        for (name, value) in state.values() {
            let is_known = self.found.iter().any(|(known, _)| known == name);
            let is_lost = self.are_arguments_lost && is_argument(name);
            if !is_known && !is_lost && self.found.len() < MOST_VALUES {
                self.found.push((name.to_owned(), value.to_owned()));
            }
        }
        self.is_whole = is_all;
    }

    /// In order: registers, slots from the top, the rest.
    fn finish(mut self) -> Vec<(String, String)> {
        let key = |name: &str| {
            let number = |prefix| name.strip_prefix(prefix).and_then(|rest| rest.parse::<u64>().ok());
            number("R").map(|number| (0, number)).or_else(|| number("fp-").map(|number| (1, number))).unwrap_or((2, 0))
        };
        self.found.sort_by_key(|(name, _)| key(name));
        self.found
    }
}

fn is_argument(name: &str) -> bool {
    matches!(name, "R1" | "R2" | "R3" | "R4" | "R5")
}
