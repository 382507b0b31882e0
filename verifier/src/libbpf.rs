//! Programs' logs in what a loader printed.
//!
//! Source: `bpf_object_load_prog` in tools/lib/bpf/libbpf.c. The lines before and behind a log have whatever prefix the
//! loader gives to what libbpf prints; the log itself has none.

use crate::lines::LOOKED_AT_BYTES;
use serde::{Deserialize, Serialize};
use std::ops::Range;

const BEGIN: &str = "': -- BEGIN PROG LOAD LOG --";
const END: &str = "-- END PROG LOAD LOG --";
const FAILED: &str = "': BPF program load failed: ";

/// Programs that are told of in one output; more are not looked for.
const MOST_PROGRAMS: usize = 1024;

/// A program that libbpf printed the log of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramLog {
    /// The program's name.
    pub name: String,
    /// Why loading failed, in libbpf's words; `None` when it did not, or is not told.
    pub error: Option<String>,
    /// Where its log is in the output, in bytes.
    pub log: Range<usize>,
    /// Whether the log's end is there.
    pub is_whole: bool,
}

/// Finds the programs' logs in a loader's output, in its order.
pub fn program_logs(output: &[u8]) -> Vec<ProgramLog> {
    let mut programs: Vec<ProgramLog> = Vec::new();
    let mut failed: Option<(String, String)> = None;
    let mut open: Option<ProgramLog> = None;
    let mut at = 0;
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let text = text(line);
        match &mut open {
            Some(program) => {
                if let Some(behind) = text.find(END) {
                    // What a log that does not end with a line end wrote last is before the mark.
                    program.log.end = start + prefix_bytes(text, behind);
                    program.is_whole = true;
                    programs.extend(open.take());
                } else {
                    program.log.end = end;
                }
            }
            None if programs.len() == MOST_PROGRAMS => break,
            None => {
                if let Some((name, error)) = named(text, FAILED) {
                    failed = Some((name.to_owned(), error.trim_end().to_owned()));
                } else if let Some((name, _)) = named(text, BEGIN) {
                    let error = failed.take().filter(|(failed, _)| failed == name).map(|(_, error)| error);
                    open = Some(ProgramLog { name: name.to_owned(), error, log: end..end, is_whole: false });
                }
            }
        }
    }
    programs.extend(open);
    programs
}

/// The program's name and what follows, in a line about it.
fn named<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let (before, behind) = text.split_once(mark)?;
    let (_, name) = before.rsplit_once("prog '")?;
    Some((name, behind))
}

/// As much of a line as is text and is looked at.
fn text(line: &[u8]) -> &str {
    let line = &line[..line.len().min(LOOKED_AT_BYTES)];
    match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// How much of the line with the end's mark is still of the log: nothing when what is before the mark is the loader's prefix.
fn prefix_bytes(text: &str, mark: usize) -> usize {
    let before = &text[..mark];
    if before.trim_end().ends_with(':') || before.trim().is_empty() { 0 } else { mark }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(output: &str, expected: &[(&str, Option<&str>, &str, bool)]) {
        let programs = program_logs(output.as_bytes());
        let found: Vec<_> = programs
            .iter()
            .map(|program| {
                (program.name.as_str(), program.error.as_deref(), &output[program.log.clone()], program.is_whole)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn logs_of_programs() {
        let output = "hello\nlibbpf: prog 'a': BPF program load failed: Permission denied\nlibbpf: prog 'a': -- BEGIN PROG LOAD LOG --\n0: (95) exit\nR0 !read_ok\n-- END PROG LOAD LOG --\nlibbpf: prog 'a': failed to load: -13\nlibbpf: prog 'b': -- BEGIN PROG LOAD LOG --\n0: (95) exit\n";
        check(
            output,
            &[
                ("a", Some("Permission denied"), "0: (95) exit\nR0 !read_ok\n", true),
                ("b", None, "0: (95) exit\n", false),
            ],
        );
    }

    #[test]
    fn other_prefixes_and_ends() {
        let output = "[WARN] libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\nx-- END PROG LOAD LOG --\nprog 'b': -- BEGIN PROG LOAD LOG --\nlibbpf: -- END PROG LOAD LOG --\n";
        check(output, &[("a", None, "x", true), ("b", None, "", true)]);
        check("nothing of the kind: ': -- BEGIN PROG LOAD LOG --", &[]);
    }

    #[test]
    fn another_programs_failure_is_not_this_ones() {
        let output =
            "prog 'a': BPF program load failed: x\nprog 'b': -- BEGIN PROG LOAD LOG --\n-- END PROG LOAD LOG --\n";
        check(output, &[("b", None, "", true)]);
    }

    proptest! {
        #[test]
        fn any_output_is_read(output in "(libbpf: |prog 'a|': -- BEGIN PROG LOAD LOG --|-- END PROG LOAD LOG --|': BPF program load failed: |\n|é|x){0,30}") {
            for program in program_logs(output.as_bytes()) {
                prop_assert!(output.get(program.log).is_some());
            }
        }
    }
}
