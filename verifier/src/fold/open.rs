//! The lines since the last one that was compared.

use super::Span;
use super::token::Token;

/// So many lines of book-keeping in a row are shown in full.
const MOST_BOOKKEEPING: u64 = 4;

/// Gaps in one stretch. More than that no verifier makes between two instructions.
const MOST_GAPS: usize = 16;

/// A line that is compared, behind those that belong to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Stretch {
    pub(super) span: Span,
    /// Parts that are not worth being shown, in order.
    pub(super) quiet: Vec<Span>,
}

/// A stretch that goes on.
#[derive(Default)]
pub(super) struct Open {
    stretch: Stretch,
    run: Run,
}

/// Lines of book-keeping in a row: those between the first and the last one, and that.
#[derive(Default)]
struct Run {
    lines: u64,
    middle: Span,
    last: Span,
}

impl Open {
    /// Takes the next line, which ends at a byte.
    pub(super) fn take(&mut self, token: Token, end: u64) {
        let Span { bytes, lines } = &self.stretch.span;
        let line = Span { bytes: bytes.end..end, lines: lines.end..lines.end + 1 };
        self.stretch.span.join(&line);
        if token == Token::Bookkeeping {
            self.run.take(line);
        } else {
            self.end_run();
        }
    }

    /// The stretch up to here; another one begins.
    pub(super) fn close(&mut self) -> Stretch {
        self.end_run();
        let Span { bytes, lines } = &self.stretch.span;
        let span = Span { bytes: bytes.end..bytes.end, lines: lines.end..lines.end };
        std::mem::replace(&mut self.stretch, Stretch { span, quiet: Vec::new() })
    }

    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        if run.lines > MOST_BOOKKEEPING && self.stretch.quiet.len() < MOST_GAPS {
            self.stretch.quiet.push(run.middle);
        }
    }
}

impl Run {
    fn take(&mut self, line: Span) {
        match self.lines {
            0 => {}
            1 => {
                self.middle =
                    Span { bytes: line.bytes.start..line.bytes.start, lines: line.lines.start..line.lines.start }
            }
            _ => self.middle.join(&self.last),
        }
        self.last = line;
        self.lines += 1;
    }
}
