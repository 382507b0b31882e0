//! Why a program was refused: the path that failed, in the order of execution, and what to do about it.

mod kernel_report;
mod meaning;
mod message;
mod path;

#[cfg(test)]
mod tests;

pub use kernel_report::KernelReport;
pub use meaning::{Meaning, meaning};

use crate::fold::{fold_bytes, render};
use crate::line::Line;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A refusal, as a log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// What the verifier said, line by line, without its report (see [`Rejection::report`]). Empty when the log says
    /// nothing, as one that was cut at its end.
    pub message: Vec<String>,
    /// That in a sentence, and what to do; `None` for messages that are not in our table.
    pub meaning: Option<Meaning>,
    /// The verifier's own report, from 7.3.
    pub report: Option<KernelReport>,
    /// The instruction that was refused.
    pub insn: Option<FailedInsn>,
    /// Source line that it was made from.
    pub source: Option<SourceLine>,
    /// What was known at the end of the frame that it is in: registers and slots with their values, as the kernel writes them.
    pub state: Vec<(String, String)>,
    /// Where the path is in the log: stretches of bytes, in the order of execution.
    pub path: Vec<Range<usize>>,
    /// Whether the path begins where its program or function does. Otherwise the log lacks its beginning.
    pub is_whole: bool,
}

/// An instruction that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedInsn {
    /// Its number in the program.
    pub index: u32,
    /// Its text, as the kernel writes it.
    pub text: String,
}

/// A line of a program's source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Name of its file, without folders.
    pub file: Option<String>,
    /// Its number.
    pub line: Option<u32>,
    /// Its text.
    pub text: String,
}

impl Rejection {
    /// Reads the log of a program that the kernel refused. Takes time in proportion to the log's length.
    pub fn of(log: &[u8]) -> Self {
        let (lines, path_end) = message::find(log);
        let (message, report) = KernelReport::split(&lines);
        let walk = path::walk(&log[..path_end]);
        Self {
            meaning: message.iter().find_map(|line| meaning(line)),
            message: message.iter().map(|line| (*line).to_owned()).collect(),
            report,
            insn: walk.insn,
            source: walk.source,
            state: walk.state,
            path: walk.path,
            is_whole: walk.is_whole,
        }
    }

    /// The reason in one sentence: ours, or else the kernel's own words.
    pub fn reason(&self) -> String {
        if let Some(meaning) = &self.meaning {
            return meaning.sentence.clone();
        }
        if let Some(report) = &self.report {
            return format!("{}: {}", report.problem, report.reason);
        }
        let last = self.message.last().map(String::as_str);
        last.unwrap_or("the log does not say why: it is cut, or was taken at level 0").to_owned()
    }

    /// What to do: our advice, or the kernel's.
    pub fn advice(&self) -> Option<&str> {
        let ours = self.meaning.as_ref().map(|meaning| meaning.advice.as_str());
        ours.or_else(|| self.report.as_ref().and_then(|report| report.suggestion.as_deref()))
    }

    /// The path that failed, in the order of execution, its loops folded. `log` is the one that was read.
    pub fn path_text(&self, log: &[u8]) -> String {
        let path = self.path.iter().filter_map(|range| log.get(range.clone()));
        let raw = path.collect::<Vec<_>>().concat();
        let pieces = fold_bytes(&raw);
        let mut text = Vec::new();
        // Memory is read and written without errors.
        let _ = render(&raw[..], pieces, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Whether a line is one of the path, or of what follows the path.
fn is_of_path(line: Line<'_>) -> bool {
    matches!(line, Line::Insn(_) | Line::State { .. } | Line::Branch(_) | Line::Safe { .. } | Line::Frame(_))
        || matches!(line, Line::Bookkeeping(_) | Line::Source(_) | Line::Listing(_) | Line::Function { .. })
        || matches!(line, Line::Validating { .. } | Line::Validated)
}
