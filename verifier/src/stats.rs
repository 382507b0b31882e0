//! Figures about a program's verification.
//!
//! Source: `print_verification_stats` in kernel/bpf/verifier.c. At log level 1 or 2 alone the kernel tells only the line
//! `processed …`; the others come with `BPF_LOG_STATS` (4), which goes together with either.

use crate::line::Line;
use serde::{Deserialize, Serialize};

/// Instructions that the verifier processes before it gives up: `BPF_COMPLEXITY_LIMIT_INSNS`.
pub const INSN_LIMIT: u64 = 1_000_000;

/// Subprograms that are listed; the kernel has at most `BPF_MAX_SUBPROGS` = 256.
const MOST_SUBPROGRAMS: usize = 256;

/// What the verifier counted. What a log does not tell is `None`, or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Instructions verified; one that is reached on several paths counts on each.
    pub insns: Option<u64>,
    /// How many would have been too many.
    pub insn_limit: Option<u64>,
    /// The most states kept for one instruction.
    pub max_states_per_insn: Option<u64>,
    /// States kept in all.
    pub total_states: Option<u64>,
    /// States kept at a time.
    pub peak_states: Option<u64>,
    /// The longest walk that marked registers as read; 0 in kernels that do it no more.
    pub mark_read: Option<u64>,
    /// Time that verification took, in microseconds.
    pub time_us: Option<u64>,
    /// Bytes of stack of each subprogram, the main function first.
    pub stack_bytes: Vec<u64>,
    /// Bytes of stack of the deepest chain of calls; from 7.2.
    pub max_stack_bytes: Option<u64>,
}

impl Stats {
    /// Takes in a line; those without figures change nothing.
    pub fn take(&mut self, line: Line<'_>) {
        match line {
            Line::Figure(text) => drop(self.figure(text)),
            // Another program's begin.
            Line::Function { number: 0, .. } => *self = Self::default(),
            _ => {}
        }
    }

    fn figure(&mut self, text: &str) -> Option<()> {
        let (first, rest) = text.split_once(' ')?;
        match first {
            "processed" => self.processed(rest),
            "verification" => self.time_us = Some(after(rest, "time")?),
            "stack" => self.stack(rest.strip_prefix("depth ")?),
            "subprog" if self.stack_bytes.len() < MOST_SUBPROGRAMS => self.stack_bytes.push(after(rest, "stack")?),
            _ => {}
        }
        Some(())
    }

    /// `N insns (limit N) max_states_per_insn N total_states N peak_states N mark_read N`.
    fn processed(&mut self, text: &str) {
        self.insns = text.split(' ').next().and_then(|number| number.parse().ok());
        self.insn_limit = after(text, "(limit");
        self.max_states_per_insn = after(text, "max_states_per_insn");
        self.total_states = after(text, "total_states");
        self.peak_states = after(text, "peak_states");
        self.mark_read = after(text, "mark_read");
    }

    /// `8+0+16`, `8+0 max 8` or `max 8`.
    fn stack(&mut self, text: &str) {
        let first = text.split(' ').next().unwrap_or_default();
        self.stack_bytes = first.split('+').map_while(|number| number.parse().ok()).take(MOST_SUBPROGRAMS).collect();
        self.max_stack_bytes = after(text, "max");
    }

    /// Bytes of stack of all subprograms together, as veristat adds them up.
    pub fn total_stack_bytes(&self) -> Option<u64> {
        let first = *self.stack_bytes.first()?;
        Some(self.stack_bytes[1..].iter().fold(first, |sum, bytes| sum.saturating_add(*bytes)))
    }

    /// Instructions verified, in parts of the limit: 1 is at it.
    pub fn limit_share(&self) -> Option<f64> {
        let limit = self.insn_limit.filter(|limit| *limit > 0).unwrap_or(INSN_LIMIT);
        Some(self.insns? as f64 / limit as f64)
    }
}

/// The number that follows a word.
fn after(text: &str, word: &str) -> Option<u64> {
    let mut words = text.split_ascii_whitespace();
    words.find(|found| *found == word)?;
    words.next()?.trim_end_matches(')').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Stats) {
        let mut stats = Stats::default();
        text.lines().for_each(|line| stats.take(Line::parse(line)));
        assert_eq!(stats, expected, "{text}");
    }

    const PROCESSED: &str =
        "processed 735 insns (limit 1000000) max_states_per_insn 4 total_states 25 peak_states 24 mark_read 3";

    fn processed() -> Stats {
        Stats {
            insns: Some(735),
            insn_limit: Some(1_000_000),
            max_states_per_insn: Some(4),
            total_states: Some(25),
            peak_states: Some(24),
            mark_read: Some(3),
            ..Stats::default()
        }
    }

    #[test]
    fn of_6_12() {
        let expected = Stats { time_us: Some(12), stack_bytes: vec![8, 0, 16], ..processed() };
        assert_eq!(expected.total_stack_bytes(), Some(24));
        check(&format!("verification time 12 usec\nstack depth 8+0+16\n{PROCESSED}"), expected);
    }

    #[test]
    fn of_7_3() {
        let subprograms = "subprog 0 (f) main insns_self 3 insns_total 4 stack 8\nsubprog 1 (g h) global insns_self 1 insns_total 1 stack 4";
        let expected = Stats { time_us: Some(9), stack_bytes: vec![8, 4], max_stack_bytes: Some(12), ..processed() };
        check(&format!("verification time 9 usec\nstack depth max 12\n{subprograms}\n{PROCESSED}"), expected);
        check(
            "stack depth 8+4 max 12",
            Stats { stack_bytes: vec![8, 4], max_stack_bytes: Some(12), ..Stats::default() },
        );
    }

    #[test]
    fn cut_and_foreign() {
        check("processed 735 insns (limit 10", Stats { insns: Some(735), insn_limit: Some(10), ..Stats::default() });
        check("processed\nprocessed x\nstack depth\nsubprog 1\nverification time", Stats::default());
        check("stack depth 8+x+16", Stats { stack_bytes: vec![8], ..Stats::default() });
        check("processed 99999999999999999999 insns", Stats::default());
    }

    #[test]
    fn the_last_program_counts() {
        check(&format!("{PROCESSED}\nfunc#0 @0"), Stats::default());
    }

    #[test]
    fn the_limit_is_in_view() {
        assert_eq!(Stats { insns: Some(250_000), ..Stats::default() }.limit_share(), Some(0.25));
        assert_eq!(Stats::default().limit_share(), None);
    }
}
