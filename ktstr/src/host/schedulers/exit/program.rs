//! What the program of a scheduler says on its standard error: libbpf's complaints, the kernel's reason for the end, and
//! the kernel's dump (tools/sched_ext/include/scx/user_exit_info.h; scx_utils prints the same).

use ktstr_verifier::libbpf;

/// Before a dump.
const DUMP_HEADING: &str = "DEBUG DUMP";

/// The shortest line that is a rule around a dump; theirs have 80 characters.
const RULE_LENGTH: usize = 20;

/// Before the reason for an end.
const EXIT: &str = "EXIT: ";

/// The last lines of a log that tell why.
const LAST_LOG_LINES: usize = 20;

/// What was said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Without the dump.
    pub(super) text: String,
    pub(super) dump: String,
    /// Lines that tell of an end, the last one last.
    pub(super) exits: Vec<Exit>,
    /// A program that the verifier rejected.
    pub(super) rejected: Option<Rejected>,
}

/// A line that tells of an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) line: String,
    pub(super) reason: String,
    /// Empty where there is none.
    pub(super) message: String,
}

/// A program that the verifier rejected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) program: String,
    /// The end of its log.
    pub(super) log: Vec<String>,
}

/// Reads it all.
pub(super) fn read(stderr: &str) -> Said {
    let (text, dump) = without_dump(stderr);
    let exits = text.lines().filter_map(exit).collect();
    let rejected = rejected(&text);
    Said { text, dump, exits, rejected }
}

/// The kernel's number of the end's kind, by the head of a dump: `sh[19] triggered exit kind 1026:`.
pub(super) fn kind(dump: &str) -> Option<u32> {
    let (_, rest) = dump.split_once(" triggered exit kind ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// An error number, as programs show it: `-EACCES`, `: -22`, `(os error 16)`, `(Device or resource busy)`.
pub(super) fn errno(text: &str) -> Option<String> {
    text.lines().rev().find_map(|line| {
        let name = line.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| is_errno_name(word));
        let number = || {
            let (_, rest) = line.rsplit_once("(os error ").or_else(|| line.rsplit_once(": -"))?;
            let digits = rest.trim_end_matches(')').trim_end();
            digits.parse::<i32>().ok().filter(|number| (1..4096).contains(number))
        };
        name.map(str::to_owned).or_else(|| number().map(described)).or_else(|| worded(line))
    })
}

/// `EACCES` and its like.
fn is_errno_name(word: &str) -> bool {
    (4..=15).contains(&word.len())
        && word.starts_with('E')
        && word[1..].bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && !["EXIT", "ERROR", "ERRNO", "END", "ENABLE", "EVENT", "EXT"].contains(&word)
}

fn described(number: i32) -> String {
    std::io::Error::from_raw_os_error(number).to_string()
}

/// `[SCX_BUG] scx_qmap.c:117 (Device or resource busy)`.
fn worded(line: &str) -> Option<String> {
    let (_, words) = line.strip_prefix("[SCX_BUG]")?.split_once('(')?;
    let words = words.trim_end().strip_suffix(')')?;
    // What there is when nothing has failed.
    (words != "Success").then(|| words.to_owned())
}

/// The first and the last lines that are not empty: a program that prints how it is used says before that what is wrong.
pub(super) fn ends(text: &str, first: usize, last: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.len() <= first + last {
        return lines.iter().map(|line| (*line).to_owned()).collect();
    }
    let (head, tail) = (&lines[..first], &lines[lines.len() - last..]);
    let gap = format!("[{} lines are left out here]", lines.len() - first - last);
    head.iter().copied().chain([gap.as_str()]).chain(tail.iter().copied()).map(str::to_owned).collect()
}

/// The text without the last dump, and that dump.
fn without_dump(stderr: &str) -> (String, String) {
    let is_rule = |line: &str| line.len() >= RULE_LENGTH && line.bytes().all(|byte| byte == b'=');
    let lines: Vec<&str> = stderr.split_inclusive('\n').collect();
    let heading = lines.iter().rposition(|line| line.trim_end() == DUMP_HEADING);
    let begins = heading.filter(|at| lines.get(at + 1).is_some_and(|line| is_rule(line.trim_end())));
    let Some(begins) = begins else { return (stderr.to_owned(), String::new()) };
    let inside = &lines[begins + 2..];
    let length = inside.iter().position(|line| is_rule(line.trim_end())).unwrap_or(inside.len());
    let (dump, after) = inside.split_at(length);
    let text = lines[..begins].iter().chain(after.iter().skip(1)).copied().collect();
    (text, dump.concat())
}

fn exit(line: &str) -> Option<Exit> {
    let rest = line.trim_end().strip_prefix(EXIT)?;
    // Where it was follows the message in newer kernels: `stall (sh[1] failed to run for 5.1s) on CPU 0`.
    let (reason, message) = match rest.split_once(" (") {
        Some((reason, rest)) => (reason, rest.rsplit_once(')').map_or(rest, |(message, _where)| message)),
        None => (rest.split_once(" on CPU ").map_or(rest, |(reason, _where)| reason), ""),
    };
    Some(Exit { line: line.trim_end().to_owned(), reason: reason.to_owned(), message: message.to_owned() })
}

fn rejected(text: &str) -> Option<Rejected> {
    let programs = libbpf::program_logs(text.as_bytes());
    // A loader that prints much prints logs of programs that were loaded, too.
    let failed = programs.iter().find(|program| program.error.is_some()).or(programs.first())?;
    let log: Vec<&str> = text.get(failed.log.clone())?.lines().collect();
    let log = log[log.len().saturating_sub(LAST_LOG_LINES)..].iter().map(|line| (*line).to_owned()).collect();
    Some(Rejected { program: failed.name.clone(), log })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "================================================================================";

    fn exit_of(line: &str) -> (String, String) {
        let exit = exit(line).unwrap();
        (exit.reason, exit.message)
    }

    #[test]
    fn both_ends_of_what_it_says_are_shown() {
        let check = |text: &str, expected: &[&str]| assert_eq!(ends(text, 1, 2), expected, "{text}");
        check("", &[]);
        check("a\n\nb\nc\n", &["a", "b", "c"]);
        check("a\nb\nc\nd\ne\n", &["a", "[2 lines are left out here]", "d", "e"]);
    }

    #[test]
    fn a_dump_is_kept_apart() {
        let text =
            format!("a\n\nDEBUG DUMP\n{RULE}\n\nsh[1] triggered exit kind 1026 on CPU 0:\n{RULE}\n\nEXIT: x (y)\n");
        let said = read(&text);
        assert_eq!((said.text.as_str(), said.exits.len()), ("a\n\n\nEXIT: x (y)\n", 1));
        assert_eq!(said.dump, "\nsh[1] triggered exit kind 1026 on CPU 0:\n");
        assert_eq!(kind(&said.dump), Some(1026));
        let cut = read(&format!("DEBUG DUMP\n{RULE}\nsome"));
        assert_eq!((cut.text.as_str(), cut.dump.as_str()), ("", "some"));
        assert_eq!(read("DEBUG DUMP\nno rule").dump, "");
    }

    #[test]
    fn ends_are_read_with_and_without_a_message() {
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(exit_of("EXIT: unregistered from user space"), pair("unregistered from user space", ""));
        assert_eq!(exit_of("EXIT: stall (sh[1] (x) ran for 5s) on CPU 0"), pair("stall", "sh[1] (x) ran for 5s"));
        assert_eq!(exit_of("EXIT: runtime error on CPU 3"), pair("runtime error", ""));
        assert_eq!(exit(" EXIT: no"), None);
    }

    #[test]
    fn error_numbers_are_found_as_they_are_shown() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(errno(text).as_deref(), expected, "{text}");
        check("libbpf: failed to load object 'scx': -EACCES\nFailed to load skel", Some("EACCES"));
        check("libbpf: failed to load BPF skeleton 'scx_simple': -22", Some("Invalid argument (os error 22)"));
        check(
            "Error: attach\n\nCaused by:\n    Device busy (os error 16)",
            Some("Device or resource busy (os error 16)"),
        );
        check("[SCX_BUG] scx_qmap.c:117 (Device or resource busy)", Some("Device or resource busy"));
        check("[SCX_BUG] scx_qmap.c:117 (Success)", None);
        check("c22/scx_qmap: invalid option -- 'x'\nEXIT: ERROR", None);
        check("ratio: -99999999999", None);
    }

    #[test]
    fn a_rejection_has_the_end_of_the_log() {
        let log: Vec<String> = (0..30).map(|number| format!("{number}: (b7)")).collect();
        let text = format!(
            "libbpf: prog 'a': -- BEGIN PROG LOAD LOG --\nprocessed 1 insns\n-- END PROG LOAD LOG --\n\
             libbpf: prog 'x': BPF program load failed: Permission denied\n\
             libbpf: prog 'x': -- BEGIN PROG LOAD LOG --\n{}\n-- END PROG LOAD LOG --\nlibbpf: more",
            log.join("\n")
        );
        let rejected = read(&text).rejected.unwrap();
        assert_eq!((rejected.program.as_str(), rejected.log.len()), ("x", LAST_LOG_LINES));
        assert_eq!(rejected.log[LAST_LOG_LINES - 1], "29: (b7)");
    }
}
