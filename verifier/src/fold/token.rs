//! What lines are compared by.

use crate::line::Line;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a line is for the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// What stays the same of it when its loop is run through again.
    Compared(u64),
    /// It says something about its neighbours, such as states and source lines. It belongs to the next line that is compared.
    Aside,
    /// Such a line, and one of many: the verifier's book-keeping.
    Bookkeeping,
}

/// Looks at a line that begins at a byte of the log.
pub(super) fn token(line: &[u8], is_cut: bool, at: u64) -> Token {
    let mut hasher = DefaultHasher::new();
    if is_cut {
        // What was not looked at may differ: it is like no other line.
        (0_u8, at).hash(&mut hasher);
        return Token::Compared(hasher.finish());
    }
    match Line::parse_bytes(line) {
        Line::Blank | Line::Source(_) | Line::State { .. } => return Token::Aside,
        Line::Bookkeeping(_) => return Token::Bookkeeping,
        Line::Insn(insn) => (1_u8, insn.index, insn.text).hash(&mut hasher),
        Line::Branch(branch) => (2_u8, branch.from, branch.to, branch.state.is_some()).hash(&mut hasher),
        Line::Safe { index } => (3_u8, index).hash(&mut hasher),
        _ => (4_u8, line).hash(&mut hasher),
    }
    Token::Compared(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: bool) {
        let of = |line: &str| token(line.as_bytes(), false, 0);
        assert!(matches!(of(a), Token::Compared(_)), "{a:?}");
        assert_eq!(of(a) == of(b), expected, "{a:?} and {b:?}");
    }

    #[test]
    fn values_do_not_count() {
        check("3: (07) r6 += 1    ; R6=2", "3: (07) r6 += 1", true);
        check("3: (07) r6 += 1", "4: (07) r6 += 1", false);
        check("3: (07) r6 += 1", "3: (07) r6 += 2", false);
        check("from 3 to 5: R1=2", "from 3 to 5: R1=7", true);
        check("from 3 to 5: R1=2", "from 3 to 5: safe", false);
        check("5: safe", "5: safe", true);
        check("5: safe", "6: safe", false);
        check("hello 1", "hello 2", false);
        check("hello 1", "hello 1", true);
    }

    #[test]
    fn what_is_told_of_neighbours_is_not_compared() {
        for line in ["", "; x", "5: R1=2", " R1=2"] {
            assert_eq!(token(line.as_bytes(), false, 0), Token::Aside, "{line}");
        }
        assert_eq!(token(b"mark_precise: frame0: regs=r1", false, 0), Token::Bookkeeping);
    }

    #[test]
    fn a_cut_line_is_like_no_other() {
        assert_ne!(token(b"x", true, 1), token(b"x", true, 2));
    }
}
