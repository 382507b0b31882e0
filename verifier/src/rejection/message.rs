//! The verifier's last words.

use super::is_of_path;
use crate::line::Line;
use crate::lines::backwards;

/// As much of the end of a log as is searched for the message.
const MOST_LINES: usize = 4096;

/// How the listings end that come before verification begins.
const HEADINGS: [&str; 5] = ["Live regs before insn:", "stack use/def ", "subprog#", "topo_order[", "arg JOIN "];

/// The lines behind the path, and where the path ends.
pub(super) fn find(log: &[u8]) -> (Vec<&str>, usize) {
    let mut lines = Vec::new();
    let mut path_end = 0;
    for (start, bytes) in backwards(log) {
        let line = Line::parse_bytes(bytes);
        let is_heading = matches!(line, Line::Other(text) if HEADINGS.iter().any(|heading| text.starts_with(heading)));
        if lines.len() == MOST_LINES || is_of_path(line) || is_heading {
            path_end = (start + bytes.len() + 1).min(log.len());
            break;
        }
        match line {
            Line::Other(text) => lines.push(text),
            Line::Blank => lines.push(""),
            _ => {}
        }
    }
    lines.reverse();
    (lines, path_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(log: &str, expected: &[&str], path: &str) {
        let (lines, path_end) = find(log.as_bytes());
        assert_eq!((lines.as_slice(), &log[..path_end]), (expected, path));
    }

    #[test]
    fn what_follows_the_path() {
        check("1: (95) exit\nR0 !read_ok\nprocessed 1 insns\n", &["R0 !read_ok"], "1: (95) exit\n");
        check("1: (95) exit\nR0 !read_ok\n\nWhy", &["R0 !read_ok", "", "Why"], "1: (95) exit\n");
        check("1: (95) exit", &[], "1: (95) exit");
        check("func#0 @0\nunreachable insn 2\n", &["unreachable insn 2"], "func#0 @0\n");
        check(
            "Live regs before insn:\n  0: .... (95) exit\nno JIT\n",
            &["no JIT"],
            "Live regs before insn:\n  0: .... (95) exit\n",
        );
        check("no path at all\n", &["no path at all"], "");
        check("", &[], "");
    }
}
