//! The verifier's messages in plain sentences.

mod table;

use serde::{Deserialize, Serialize};
use table::TABLE;

/// What a message means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// The reason, in one sentence.
    pub sentence: String,
    /// What to do, in one.
    pub advice: String,
}

/// A message and what it means. `{}` stands for any text: in the message for what differs, in the sentence for the same in the
/// same order; `{1}` for the second such text.
struct Entry {
    message: &'static str,
    sentence: &'static str,
    advice: &'static str,
}

/// What a line of the verifier or of libbpf means; `None` when it is not known.
pub fn meaning(line: &str) -> Option<Meaning> {
    let line = line.trim();
    TABLE.iter().find_map(|entry| {
        let found = captures(entry.message, line)?;
        Some(Meaning { sentence: fill(entry.sentence, &found), advice: entry.advice.to_owned() })
    })
}

/// What stands for each `{}`; `None` when the text is another.
fn captures<'a>(pattern: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    for part in parts {
        let at = if part.is_empty() { rest.len() } else { rest.find(part)? };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

fn fill(sentence: &str, found: &[&str]) -> String {
    let mut text = String::new();
    let mut rest = sentence;
    let mut next = 0;
    while let Some((before, hole, behind)) = hole(rest) {
        text.push_str(before);
        text.push_str(found.get(hole.unwrap_or(next)).copied().unwrap_or_default());
        next += 1;
        rest = behind;
    }
    text + rest
}

/// The first `{}` or `{1}`: what is before it, its number, and what is behind it.
fn hole(text: &str) -> Option<(&str, Option<usize>, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (number, behind) = rest.split_once('}')?;
    Some((before, number.parse().ok(), behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(line: &str, expected: Option<&str>) {
        assert_eq!(meaning(line).map(|meaning| meaning.sentence).as_deref(), expected, "{line}");
    }

    #[test]
    fn sentences() {
        check(
            "R1 invalid mem access 'scalar'",
            Some("R1 is a number, not a pointer, and the program goes where it points."),
        );
        check(
            "R0 invalid mem access 'map_value_or_null'",
            Some("R0 may be NULL here (map_value_or_null), and the program goes where it points."),
        );
        check(
            "BPF program is too large. Processed 1000001 insn",
            Some("The verifier gave up after 1000001 instructions."),
        );
        check("R0 !read_ok", Some("R0 is read, and nothing was written to it on this path."));
        check(
            "calling kernel function bpf_task_from_pid is not allowed",
            Some("This type of program must not call the kernel function bpf_task_from_pid."),
        );
        check(
            "libbpf: extern (func ksym) 'scx_x': func_proto [69] incompatible with kernel [36626]",
            Some("The kernel's function scx_x takes other arguments than the program declares."),
        );
        check("a sentence that no verifier says", None);
        check("", None);
    }

    #[test]
    fn no_entry_hides_another() {
        for (index, entry) in TABLE.iter().enumerate() {
            let line = entry.message.replace("{}", "7");
            let first = TABLE.iter().position(|other| captures(other.message, &line).is_some());
            assert_eq!(first, Some(index), "{line}");
        }
    }

    #[test]
    fn sentences_use_what_the_message_has() {
        for entry in TABLE {
            let words: Vec<_> =
                ["aa", "bb", "cc", "dd", "ee", "ff", "gg"][..entry.message.matches("{}").count()].to_vec();
            let holes = entry.sentence.matches('{').count();
            let used = words.iter().filter(|word| fill(entry.sentence, &words).contains(**word)).count();
            assert_eq!(used, holes, "{}", entry.message);
            assert!(entry.sentence.ends_with('.') && entry.advice.ends_with('.'), "{}", entry.message);
        }
    }

    proptest! {
        #[test]
        fn any_line_is_looked_up(line in "\\PC{0,80}") {
            let _ = meaning(&line);
        }
    }
}
