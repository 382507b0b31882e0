//! What the kernel's log tells of the end of a scheduler (`scx_disable_workfn`, kernel/sched/ext.c).

use crate::scheduler::{KernelLine, SchedulerClass};

/// What the lines of sched_ext begin with.
const PREFIX: &str = "sched_ext: ";

/// Lines that are taken as evidence from where an end is told, the backtrace among them.
const EVIDENCE_LINES: usize = 16;

/// An end of a scheduler, as the kernel tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KernelEnd {
    pub(super) at_ns: u64,
    pub(super) reason: String,
    /// Empty where there is none.
    pub(super) message: String,
    pub(super) lines: Vec<String>,
}

/// The kernel's reasons (`scx_exit_reason`), with their numbers and sorts.
const REASONS: &[(&str, u32, SchedulerClass)] = &[
    ("unregistered from user space", 64, SchedulerClass::Unregistered),
    ("unregistered from BPF", 65, SchedulerClass::Unregistered),
    ("unregistered from the main kernel", 66, SchedulerClass::UnregisteredByKernel),
    ("disabled by sysrq-S", 67, SchedulerClass::SysRq),
    ("runtime error", 1024, SchedulerClass::RuntimeError),
    ("scx_bpf_error", 1025, SchedulerClass::Error),
    ("runnable task stall", 1026, SchedulerClass::Stalled),
];

/// The number and the sort of a reason; of one that is not known here, neither.
pub(super) fn sort_of(reason: &str) -> (Option<u32>, SchedulerClass) {
    let known = REASONS.iter().find(|(words, ..)| *words == reason);
    known.map_or((None, SchedulerClass::Disabled), |(_, kind, class)| (Some(*kind), *class))
}

impl KernelEnd {
    /// Whether the scheduler did wrong.
    pub(super) fn is_error(&self) -> bool {
        sort_of(&self.reason).0.is_some_and(|kind| kind >= 1024)
    }
}

/// All ends that the lines tell, in order.
pub(super) fn ends(lines: &[KernelLine]) -> Vec<KernelEnd> {
    let texts: Vec<&str> = lines.iter().map(|line| text(&line.line)).collect();
    let told = texts.iter().enumerate().filter_map(|(at, text)| Some((at, disabled(text)?)));
    told.map(|(at, (name, reason))| {
        let own = format!("{PREFIX}{name}: ");
        let rest = &texts[at + 1..];
        // Other lines may have come between.
        let message_at = rest.iter().position(|text| text.starts_with(&own) || disabled(text).is_some());
        let message = message_at.and_then(|at| rest[at].strip_prefix(&own)).unwrap_or_default();
        KernelEnd {
            at_ns: lines[at].at_ns,
            reason: reason.to_owned(),
            message: message.to_owned(),
            lines: evidence(&texts[at..], &own),
        }
    })
    .collect()
}

/// The line that tells of the end, what sched_ext says besides, and the backtrace.
fn evidence(texts: &[&str], own: &str) -> Vec<String> {
    let belongs = |text: &&&str| text.starts_with(own) || text.starts_with("   ");
    let rest = texts.iter().skip(1).take_while(|text| disabled(text).is_none()).filter(belongs);
    texts.iter().take(1).chain(rest).take(EVIDENCE_LINES).map(|text| (*text).to_owned()).collect()
}

/// Name and reason of a line that tells of an end.
fn disabled(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix(PREFIX)?.strip_prefix("BPF scheduler \"")?;
    let (name, reason) = rest.split_once("\" disabled (")?;
    Some((name, reason.strip_suffix(')')?))
}

/// What sched_ext says, whatever it is about, but that a scheduler was enabled.
pub(super) fn of_sched_ext<'a>(lines: impl IntoIterator<Item = &'a KernelLine>) -> impl Iterator<Item = String> {
    let said = lines.into_iter().map(|line| text(&line.line)).filter(|text| text.starts_with(PREFIX));
    said.filter(|text| !text.ends_with("\" enabled")).map(str::to_owned)
}

/// What sched_ext complains of, as an error and worse.
pub(super) fn complaint(lines: &[KernelLine]) -> Option<String> {
    let is_error = |line: &&KernelLine| line.line.bytes().next().is_some_and(|level| (b'0'..=b'3').contains(&level));
    of_sched_ext(lines.iter().filter(is_error)).next()
}

/// A line without its level.
pub(super) fn text(line: &str) -> &str {
    match line.split_once(": ") {
        Some((level, text)) if level.len() == 1 && level.bytes().all(|byte| byte.is_ascii_digit()) => text,
        _ => line,
    }
}

/// The scheduler that the kernel is about to disable, by its dump of a task (`print_scx_info`, kernel/sched/ext.c). New tasks
/// are not the scheduler's then, and a kernel without a deadline server for sched_ext runs them before all that are.
pub(crate) fn being_disabled(dump: &str) -> Option<&str> {
    let mut of_tasks = dump.lines().filter_map(|line| line.split_once("Sched_ext: ")?.1.split_once(" ("));
    of_tasks.find(|(_, state)| state.starts_with("disabling")).map(|(name, _)| name)
}

/// How long a task was kept from running, by the message of a stall.
pub(super) fn stalled_ns(message: &str) -> Option<u64> {
    let (_, seconds) = message.rsplit_once(" for ")?;
    let (seconds, _) = seconds.split_once('s')?;
    let seconds: f64 = seconds.parse().ok()?;
    (seconds.is_finite() && seconds > 0.0).then_some((seconds * 1e9) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], expected: &[(&str, &str)]) -> Vec<KernelEnd> {
        let lines: Vec<KernelLine> =
            lines.iter().map(|line| KernelLine { at_ns: 5, line: (*line).to_owned() }).collect();
        let ends = ends(&lines);
        let told: Vec<(&str, &str)> = ends.iter().map(|end| (end.reason.as_str(), end.message.as_str())).collect();
        assert_eq!(told, expected);
        ends
    }

    #[test]
    fn reasons_and_messages_are_told() {
        let ends = check(
            &[
                "6: sched_ext: BPF scheduler \"qmap\" enabled",
                "3: sched_ext: BPF scheduler \"qmap\" disabled (runnable task stall)",
                "6: smpboot: CPU 1 is now offline",
                "3: sched_ext: qmap: sh[192] failed to run for 7.556s",
                "6:    scx_exit+0x50/0x70",
            ],
            &[("runnable task stall", "sh[192] failed to run for 7.556s")],
        );
        assert_eq!(ends[0].lines.len(), 3);
        assert_eq!(ends[0].lines[2], "   scx_exit+0x50/0x70");
        check(
            &["6: sched_ext: BPF scheduler \"a\" disabled (unregistered from user space)"],
            &[("unregistered from user space", "")],
        );
    }

    #[test]
    fn other_lines_tell_nothing() {
        check(&["sched_ext: BPF scheduler \"a\" disabled (", "sched_ext: BPF scheduler \"a", "3: ", ""], &[]);
        check(&["3: x sched_ext: BPF scheduler \"a\" disabled (runtime error)"], &[]);
    }

    #[test]
    fn dumps_tell_that_one_is_disabled() {
        let told = "[   83.1] CPU: 0 PID: 1\n[   83.2] Sched_ext: qmap (disabling+all), task: runnable_at=-81956ms\n";
        assert_eq!(being_disabled(told), Some("qmap"));
        for other in ["", "Sched_ext: qmap (enabled+all)", "Sched_ext: qmap", "sched_ext: qmap (disabling)"] {
            assert_eq!(being_disabled(other), None, "{other}");
        }
    }

    #[test]
    fn stalls_tell_how_long() {
        assert_eq!(stalled_ns("sh[192] failed to run for 7.556s"), Some(7_556_000_000));
        assert_eq!(stalled_ns("watchdog failed to check in for 5.016s"), Some(5_016_000_000));
        assert_eq!(stalled_ns("waits for 5 for 1.000s on CPU 3"), Some(1_000_000_000));
        for text in ["", "for s", " for xs", " for -1.0s", " for infs", "no time"] {
            assert_eq!(stalled_ns(text), None, "{text}");
        }
    }
}
