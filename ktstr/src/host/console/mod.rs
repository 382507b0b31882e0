//! The guest's console as it comes: kept, looked through for trouble, written down with the host's times.

mod ends;
mod log;
mod splats;
mod stalls;

pub(crate) use ends::Ends;
pub(crate) use log::Log;
pub(crate) use splats::is_splat;
pub use splats::{findings_on, last_lines};

use crate::verdict::Finding;
use ktstr_wire::dump;
use splats::Splats;
use std::time::Duration;

/// The most console text that a record keeps.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// The most of the kernel's dumps that a record keeps: a thousand tasks with their stacks.
const MAX_DUMP_BYTES: usize = 2 << 20;

/// A line that is longer is taken for several.
const MAX_LINE_BYTES: usize = 4 << 10;

/// What a console said.
#[derive(Debug, Default)]
pub(crate) struct ConsoleSeen {
    /// All but the dumps.
    pub(crate) text: String,
    /// What SysRq keys made the kernel print.
    pub(crate) dumps: String,
    /// What tells of an unhealthy kernel.
    pub(crate) findings: Vec<Finding>,
}

/// A console that is being read.
pub(crate) struct Console {
    /// The line that is not whole yet, and when it began.
    line: Vec<u8>,
    line_began: Duration,
    in_dump: bool,
    /// Whether trouble from now on is the host's doing.
    is_forced: bool,
    text: Ends,
    dumps: Ends,
    splats: Splats,
    log: Log,
}

impl Console {
    /// A console of which nothing has been read.
    pub(crate) fn new(log: Log) -> Self {
        Self {
            line: Vec::new(),
            line_began: Duration::ZERO,
            in_dump: false,
            is_forced: false,
            text: Ends::new(MAX_TEXT_BYTES),
            dumps: Ends::new(MAX_DUMP_BYTES),
            splats: Splats::default(),
            log,
        }
    }

    /// Takes what was read, `at` a time since the machine was made.
    pub(crate) fn take(&mut self, mut bytes: &[u8], at: Duration) {
        while !bytes.is_empty() {
            if self.line.is_empty() {
                self.line_began = at;
            }
            let room = bytes.len().min(MAX_LINE_BYTES - self.line.len());
            let end = bytes[..room].iter().position(|byte| *byte == b'\n').map_or(room, |newline| newline + 1);
            let (piece, rest) = bytes.split_at(end);
            self.line.extend_from_slice(piece);
            bytes = rest;
            if piece.ends_with(b"\n") || self.line.len() == MAX_LINE_BYTES {
                self.end_line();
            }
        }
        self.log.flush();
    }

    /// What comes from now on belongs to a dump.
    pub(crate) fn begin_dump(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.in_dump = true;
    }

    /// A panic from now on is the host's doing, and nothing that was found.
    pub(crate) fn expect_panic(&mut self) {
        self.is_forced = true;
    }

    /// The first that tells of an unhealthy kernel so far, if anything does.
    pub(crate) fn trouble(&self) -> Option<&Finding> {
        self.splats.first()
    }

    /// What was said, in the end.
    pub(crate) fn end(mut self) -> ConsoleSeen {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.log.end();
        ConsoleSeen {
            text: self.text.into_text(),
            dumps: self.dumps.into_text(),
            findings: self.splats.into_findings(),
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.log.write(&line, self.line_began);
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        self.in_dump |= text.ends_with(dump::BEGINS);
        // In a dump, too: anybody can print its first line.
        if !self.is_forced {
            self.splats.take(text);
        }
        if self.in_dump { &mut self.dumps } else { &mut self.text }.push(&line);
        self.in_dump &= !text.ends_with(dump::ENDS);
    }
}

#[cfg(test)]
impl ConsoleSeen {
    /// What comes of a whole console.
    pub(crate) fn of(text: &str) -> Self {
        let mut console = Console::new(Log::default());
        console.take(text.as_bytes(), Duration::ZERO);
        console.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pieces: &[&str], text: &str, dumps: &str) {
        let mut console = Console::new(Log::default());
        pieces.iter().for_each(|piece| console.take(piece.as_bytes(), Duration::ZERO));
        let seen = console.end();
        assert_eq!((seen.text.as_str(), seen.dumps.as_str()), (text, dumps), "{pieces:?}");
    }

    #[test]
    fn dumps_are_kept_apart() {
        let dump = format!("[ 9.0] {}\r\n[ 9.1] task:a state:D\r\n[ 9.2] {}\r\n", dump::BEGINS, dump::ENDS);
        check(&["[ 1.0] a\r\n", &dump, "[ 9.3] b\r\nc"], "[ 1.0] a\r\n[ 9.3] b\r\nc", &dump);
        let (first, rest) = dump.split_at(12);
        check(&[first, rest], "", &dump);
    }

    #[test]
    fn nothing_hides_in_a_dump() {
        let seen = ConsoleSeen::of(&format!("{}\nWARNING: b\n", dump::BEGINS));
        assert_eq!(seen.findings[0].measured, "kernel warning on the console");
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let long = "x".repeat(3 * MAX_LINE_BYTES + 1);
        check(&[&long], &long, "");
    }
}
