//! What the kernel's console tells about the kernel's health.

use crate::verdict::Finding;

/// Beginnings of a splat, as the kernel prints them, and the name that the finding gets.
///
/// Sources: kernel/panic.c, lib/bug.c, arch/x86/kernel/dumpstack.c, kernel/watchdog.c, kernel/hung_task.c,
/// kernel/rcu/tree_stall.h, kernel/locking/lockdep.c, lib/list_debug.c.
const SPLATS: &[(&str, &str)] = &[
    ("Kernel panic - not syncing", "kernel panic"),
    ("BUG: ", "kernel BUG"),
    ("kernel BUG at ", "kernel BUG"),
    ("Oops: ", "kernel oops"),
    ("Internal error: ", "kernel oops"),
    ("general protection fault", "kernel oops"),
    ("WARNING: ", "kernel warning"),
    ("soft lockup - CPU#", "soft lockup"),
    ("hard LOCKUP on cpu", "hard lockup"),
    ("blocked for more than ", "hung task"),
    ("detected stalls on CPUs/tasks", "RCU stall"),
    ("self-detected stall on CPU", "RCU stall"),
    ("list_add corruption", "list corruption"),
    ("list_del corruption", "list corruption"),
    ("scheduling while atomic", "scheduling while atomic"),
];

/// Lines that a splat's evidence takes from where it begins.
const EVIDENCE_LINES: usize = 24;

/// A finding for each splat. What follows a splat's first line is its evidence and not searched again.
pub(crate) fn findings(console: &str) -> Vec<Finding> {
    let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
    let mut findings = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        match SPLATS.iter().find(|(begins, _)| lines[at].contains(begins)) {
            Some((_, name)) => {
                let end = lines.len().min(at + EVIDENCE_LINES);
                let evidence = lines[at..end].iter().map(|line| (*line).to_owned());
                findings.push(Finding::new("kernel_healthy", format!("{name} on the console")).with_evidence(evidence));
                at = end;
            }
            None => at += 1,
        }
    }
    findings
}

/// The last lines that are not empty.
pub(crate) fn last_lines(console: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(console: &str, expected: &[&str]) {
        let found: Vec<String> = findings(console).into_iter().map(|finding| finding.measured).collect();
        assert_eq!(found, expected, "{console}");
    }

    #[test]
    fn names_each_splat_once() {
        check("[    1.0] Linux version 7.3.4\r\n[    1.1] Warning: unable to open an initial console.\r\n", &[]);
        check(
            "[   2.0] BUG: kernel NULL pointer dereference\n[   2.0] Oops: 0002 [#1] SMP\n[   2.1] RIP: 0010:x+1/2\n",
            &["kernel BUG on the console"],
        );
        check("[    9.1] Kernel panic - not syncing: Attempted to kill init!", &["kernel panic on the console"]);
        check("[   30.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", &["kernel BUG on the console"]);
        check("[   30.0] rcu: INFO: rcu_sched self-detected stall on CPU", &["RCU stall on the console"]);
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\n\nb\r\nc\n", 2), ["b", "c"]);
    }
}
