//! Calls of the kernel's functions, as events that are made for the purpose (Documentation/trace/fprobetrace.rst,
//! kprobetrace.rst).

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{self, Write};

/// The system that the events belong to.
pub(super) const GROUP: &str = "ktstr";

const EVENTS: &str = "/sys/kernel/tracing/dynamic_events";

/// Says why the kernel refused a definition.
const ERRORS: &str = "/sys/kernel/tracing/error_log";

/// The kernel's limit for an event's name is 64 with the NUL (`MAX_EVENT_NAME_LEN`, kernel/trace/trace_probe.h).
const LONGEST_NAME: usize = 63;

/// Sort of probe, and arguments: those that tell most come first. A function with a parameter `p` takes a task by the
/// scheduler's custom, and the task's own name and number say more than its address.
///
/// A kprobe at a function's beginning costs the kernel a tenth of what an fprobe does until it is there.
const FORMS: [(&str, &str); 5] =
    [("p", "$arg* pid=p->pid comm=p->comm:string"), ("p", "$arg*"), ("p", ""), ("f", "$arg*"), ("f", "")];

/// Events that have been made.
#[derive(Default)]
pub(super) struct Probes {
    /// Functions, and the names of their events.
    made: Vec<(String, String)>,
}

impl Probes {
    /// Makes an event of the calls of a function, with as much of its arguments as the kernel can tell.
    pub(super) fn add(&mut self, function: &str) -> Result<()> {
        let Some(name) = event_name(function) else { bail!("{function:?} is no name of a function") };
        let mut refusal = None;
        for (kind, arguments) in FORMS {
            match define(&format!("{kind}:{GROUP}/{name} {function} {arguments}")) {
                Ok(()) => {
                    self.made.push((function.to_owned(), name));
                    return Ok(());
                }
                Err(error) => refusal = Some((error, kernel_words())),
            }
        }
        let Some((error, words)) = refusal else { return Ok(()) };
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        Err(error).with_context(|| format!("the kernel does not probe it{words}"))
    }

    pub(super) fn are_none(&self) -> bool {
        self.made.is_empty()
    }

    /// The event of a function, as `SYSTEM/EVENT`.
    pub(super) fn event(&self, function: &str) -> Option<String> {
        let (_, name) = self.made.iter().find(|(made, _)| made == function)?;
        Some(format!("{GROUP}/{name}"))
    }

    /// Removes them all; what cannot be removed is returned.
    pub(super) fn remove(self) -> Vec<anyhow::Error> {
        let remove = |(function, name): (String, String)| {
            let removed = define(&format!("-:{GROUP}/{name}"));
            removed.with_context(|| format!("cannot remove the probe of {function}")).err()
        };
        self.made.into_iter().filter_map(remove).collect()
    }
}

/// Appended: a file that is truncated loses everybody's.
fn define(line: &str) -> io::Result<()> {
    File::options().append(true).open(EVENTS)?.write_all(line.as_bytes())
}

/// The kernel's last complaint.
fn kernel_words() -> Option<String> {
    last_error(&fs::read_to_string(ERRORS).ok()?)
}

/// `[    4.79] trace_fprobe: error: Invalid probed address or symbol`, with two lines on where in the definition.
fn last_error(log: &str) -> Option<String> {
    let (_, words) = log.lines().rev().find_map(|line| line.split_once(": error: "))?;
    Some(words.trim().to_owned())
}

/// What the event of a function is called: parts of functions that the compiler made have dots in their names.
fn event_name(function: &str) -> Option<String> {
    let is_name = function.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    let begins = function.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    (is_name && begins && function.len() <= LONGEST_NAME).then(|| function.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_names_that_events_can_have() {
        let check = |function: &str, expected: Option<&str>| assert_eq!(event_name(function).as_deref(), expected);
        check("scx_vexit", Some("scx_vexit"));
        check("scx_enable.isra.0", Some("scx_enable_isra_0"));
        for wrong in ["", "a b", "a;b", "0a", "$a", &"a".repeat(64)] {
            check(wrong, None);
        }
    }

    #[test]
    fn the_last_complaint_is_shown() {
        let log = "[ 4.79] trace_fprobe: error: BTF is not available\n  Command: f:x\n    ^\n\
                   [ 4.90] trace_kprobe: error: Invalid probed address or symbol\n  Command: p:x\n    ^\n";
        assert_eq!(last_error(log).as_deref(), Some("Invalid probed address or symbol"));
        assert_eq!(last_error(""), None);
    }
}
