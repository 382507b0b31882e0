//! What the kernel's console tells about the kernel's health.

use super::stalls;
use crate::verdict::Finding;

/// Beginnings of a splat, as the kernel prints them, and the name that the finding gets.
///
/// Sources: kernel/panic.c, lib/bug.c, arch/x86/kernel/dumpstack.c, kernel/watchdog.c, kernel/hung_task.c,
/// kernel/rcu/tree_stall.h, kernel/locking/lockdep.c, lib/list_debug.c.
const SPLATS: &[(&str, &str)] = &[
    ("Kernel panic - not syncing", "kernel panic"),
    (stalls::LOCKED_UP_ON, stalls::SOFT_LOCKUP),
    ("BUG: ", "kernel BUG"),
    ("kernel BUG at ", "kernel BUG"),
    ("Oops: ", "kernel oops"),
    ("Internal error: ", "kernel oops"),
    ("general protection fault", "kernel oops"),
    ("WARNING: ", "kernel warning"),
    ("hard LOCKUP on cpu", "hard lockup"),
    (stalls::BLOCKED_FOR, stalls::HUNG_TASK),
    ("detected stalls on CPUs/tasks", stalls::RCU_STALL),
    ("self-detected stall on CPU", stalls::RCU_STALL),
    ("list_add corruption", "list corruption"),
    ("list_del corruption", "list corruption"),
    ("scheduling while atomic", "scheduling while atomic"),
];

/// Lines that a splat's evidence takes from where it begins.
const EVIDENCE_LINES: usize = 24;

/// A kernel that keeps complaining has been found out by then.
const MAX_FINDINGS: usize = 16;

/// One that complains of what its host may have done has not: these are kept, without evidence, for every CPU of a large guest.
const MAX_STALLS: usize = 512;

/// A finding for each splat. What follows a splat's first line is its evidence and not searched again.
#[derive(Debug, Default)]
pub(super) struct Splats {
    findings: Vec<Finding>,
    /// Lines that the last finding still takes.
    wanted: usize,
    /// All splats, and those of them that are not kept.
    complaints: usize,
    left_out: usize,
}

impl Splats {
    /// Takes the next line, without its end.
    pub(super) fn take(&mut self, line: &str) {
        if self.wanted == 0
            && let Some(name) = splat(line)
        {
            self.wanted = EVIDENCE_LINES;
            self.add(name, line);
        }
        if self.wanted > 0 {
            self.wanted -= 1;
            if self.complaints <= MAX_FINDINGS
                && let Some(finding) = self.findings.last_mut()
            {
                finding.evidence.push(line.to_owned());
            }
        }
    }

    fn add(&mut self, name: &str, line: &str) {
        let window = stalls::window(name, line);
        self.complaints += 1;
        if self.complaints > if window.is_some() { MAX_STALLS } else { MAX_FINDINGS } {
            self.left_out += 1;
            return;
        }
        let what = match window.and_then(|window| window.cpu) {
            Some(cpu) => format!("{name} on the console, of CPU {cpu}"),
            None => format!("{name} on the console"),
        };
        self.findings.push(Finding { window, ..Finding::new("kernel_healthy", what) });
    }

    /// What the first splat was, if there was one.
    pub(super) fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }

    /// All findings.
    pub(super) fn into_findings(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let more = format!("the kernel complained {} more times", self.left_out);
            self.findings.push(Finding::new("kernel_healthy", more));
        }
        self.findings
    }
}

/// What a line begins, if it begins a splat.
pub(super) fn splat(line: &str) -> Option<&'static str> {
    // What a BPF scheduler says through the kernel is its own words, and in what becomes of it.
    let text = line.split_once("] ").map_or(line, |(_time, text)| text);
    if text.starts_with("sched_ext: ") {
        return None;
    }
    SPLATS.iter().find(|(begins, _)| line.contains(begins)).map(|(_, name)| *name)
}

/// Whether a line of the kernel's log begins a splat.
pub(crate) fn is_splat(line: &str) -> bool {
    splat(line).is_some()
}

/// What a whole console tells of an unhealthy kernel.
pub fn findings_on(console: &str) -> Vec<Finding> {
    let mut splats = Splats::default();
    console.lines().for_each(|line| splats.take(line));
    splats.into_findings()
}

/// The last lines that are not empty.
pub fn last_lines(console: &str, count: usize) -> Vec<String> {
    let lines: Vec<&str> = console.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(console: &str, expected: &[&str]) {
        let mut splats = Splats::default();
        console.lines().for_each(|line| splats.take(line));
        let found: Vec<String> = splats.into_findings().into_iter().map(|finding| finding.measured).collect();
        assert_eq!(found, expected, "{console}");
    }

    #[test]
    fn names_each_splat_once() {
        check("[    1.0] Linux version 7.3.4\r\n[    1.1] Warning: unable to open an initial console.\r\n", &[]);
        check(
            "[   2.0] BUG: kernel NULL pointer dereference\n[   2.0] Oops: 0002 [#1] SMP\n[   2.1] RIP: 0010:x+1/2\n",
            &["kernel BUG on the console"],
        );
        check("[    8.0] sched_ext: qmap: WARNING: no more\n[    8.1] sched_ext: BUG: x", &[]);
        check(
            "[    8.0] WARNING: CPU: 0 PID: 1 at kernel/sched/ext.c:1 sched_ext: x",
            &["kernel warning on the console"],
        );
        check("[    9.1] Kernel panic - not syncing: Attempted to kill init!", &["kernel panic on the console"]);
        check("[   30.0] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", &["soft lockup on the console, of CPU 1"]);
        check("[   30.0] rcu: INFO: rcu_sched self-detected stall on CPU", &["RCU stall on the console"]);
    }

    #[test]
    fn a_flood_of_splats_is_counted() {
        let mut splats = Splats::default();
        (0..EVIDENCE_LINES * (MAX_FINDINGS + 3)).for_each(|number| splats.take(&format!("WARNING: {number}")));
        let findings = splats.into_findings();
        assert_eq!(findings.len(), MAX_FINDINGS + 1);
        assert!(findings.iter().take(MAX_FINDINGS).all(|finding| finding.evidence.len() == EVIDENCE_LINES));
        assert_eq!(findings[MAX_FINDINGS].measured, "the kernel complained 3 more times");
    }

    #[test]
    fn every_stall_of_a_large_guest_is_kept() {
        let mut splats = Splats::default();
        let lockup = |cpu: usize| format!("[   50.0] watchdog: BUG: soft lockup - CPU#{cpu} stuck for 22s!");
        for cpu in 0..252 {
            splats.take(&lockup(cpu));
            (1..EVIDENCE_LINES).for_each(|_| splats.take("rip"));
        }
        splats.take("WARNING: late");
        let findings = splats.into_findings();
        assert!(findings[..252].iter().all(|finding| finding.window.is_some()));
        assert_eq!(findings[252].measured, "the kernel complained 1 more times");
        assert_eq!([0, 15, 16, 251].map(|at: usize| findings[at].evidence.len()), [24, 24, 0, 0]);
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\n\nb\r\nc\n", 2), ["b", "c"]);
    }
}
