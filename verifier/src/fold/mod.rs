//! Loops folded: of iterations that follow each other, the first and the last are shown.
//!
//! The verifier goes through a loop as often as the program may, and logs every instruction each time. [`fold`] reads such
//! a log once and tells which stretches of it are shown and which are left out. They follow each other without a gap, so
//! nothing is lost: [`expand`] puts the raw log together again.

mod open;
mod rolling;
mod tail;
mod text;
mod token;

#[cfg(test)]
mod tests;

pub use text::{ExpandError, expand, render};

use crate::lines;
use open::{Open, Stretch};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};
use std::ops::Range;
use tail::{Node, Tail};
use token::Token;

/// A stretch of whole lines of the raw log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span {
    /// Its bytes, from 0.
    pub bytes: Range<u64>,
    /// Its lines, from 0.
    pub lines: Range<u64>,
}

impl Span {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is before and behind a part of it.
    fn around(&self, part: &Self) -> (Self, Self) {
        let before = Self { bytes: self.bytes.start..part.bytes.start, lines: self.lines.start..part.lines.start };
        let behind = Self { bytes: part.bytes.end..self.bytes.end, lines: part.lines.end..self.lines.end };
        (before, behind)
    }

    fn join(&mut self, next: &Span) {
        self.bytes.end = next.bytes.end;
        self.lines.end = next.lines.end;
    }
}

/// The next stretch of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece {
    /// It is shown.
    Shown(Span),
    /// It is left out.
    Omitted(Omitted),
}

/// What is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    /// What it is like.
    pub like: Like,
    /// Where it is.
    pub span: Span,
}

/// What is left out is like what is shown before and behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Like {
    /// Iterations of a loop.
    Iterations {
        /// How many are left out.
        count: u64,
        /// The first iteration: its lines that are compared, and what belongs to them.
        first: Span,
    },
    /// Lines of the verifier's book-keeping.
    Bookkeeping,
}

/// Reads a log and hands its pieces to `sink`, in order and without a gap. Takes time in proportion to the log's length,
/// and memory that does not depend on it.
///
/// Lines are compared by instruction, not by the values of registers. Iterations whose loops inside ran unequally often are
/// alike; those that took another path are not. The longest iteration that is found has some 40 thousand lines. Of many lines
/// of book-keeping in a row the first and the last are shown.
///
/// # Errors
/// When the log cannot be read.
pub fn fold(log: impl BufRead, mut sink: impl FnMut(Piece)) -> io::Result<()> {
    let mut tail = Tail::default();
    let mut output = Output { shown: Span::default(), sink: &mut sink };
    let mut open = Open::default();
    lines::for_each(log, |line, place| {
        let token = token::token(line, place.is_cut, place.bytes.start);
        open.take(token, place.bytes.end);
        if let Token::Compared(token) = token {
            tail.push(token, open.close());
            while let Some(node) = tail.pop_surplus() {
                output.node(node);
            }
        }
    })?;
    for node in tail.drain() {
        output.node(node);
    }
    output.stretch(&open.close());
    output.finish();
    Ok(())
}

/// The pieces of a log that is in memory.
pub fn fold_bytes(log: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    // Memory is read without errors.
    let _ = fold(log, |piece| pieces.push(piece));
    pieces
}

/// Joins what is shown next to each other.
struct Output<'a, F: FnMut(Piece)> {
    shown: Span,
    sink: &'a mut F,
}

impl<F: FnMut(Piece)> Output<'_, F> {
    fn node(&mut self, node: Node) {
        match node {
            Node::Line(stretch) => self.stretch(&stretch),
            Node::Fold(fold) => {
                let first = fold.span.clone();
                fold.first.into_iter().for_each(|node| self.node(node));
                if fold.iterations > 0 {
                    self.omit(Like::Iterations { count: fold.iterations, first }, fold.omitted);
                }
            }
        }
    }

    fn stretch(&mut self, stretch: &Stretch) {
        let mut rest = stretch.span.clone();
        for quiet in &stretch.quiet {
            let (before, behind) = rest.around(quiet);
            self.show(&before);
            self.omit(Like::Bookkeeping, quiet.clone());
            rest = behind;
        }
        self.show(&rest);
    }

    fn omit(&mut self, like: Like, span: Span) {
        self.finish();
        (self.sink)(Piece::Omitted(Omitted { like, span }));
    }

    fn show(&mut self, span: &Span) {
        if self.shown.is_empty() {
            self.shown = span.clone();
        } else {
            self.shown.join(span);
        }
    }

    fn finish(&mut self) {
        let shown = std::mem::take(&mut self.shown);
        if !shown.is_empty() {
            (self.sink)(Piece::Shown(shown));
        }
    }
}
