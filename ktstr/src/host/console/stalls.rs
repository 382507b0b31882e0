//! When and where the kernel saw a CPU make no progress: a host that does not let a vCPU run looks like that from inside.
//!
//! Sources: kernel/watchdog.c (`watchdog_timer_fn`), kernel/rcu/tree_stall.h, Documentation/RCU/stallwarn.rst,
//! kernel/hung_task.c (`hung_task_info`).

use crate::verdict::Window;

const SECOND_NS: u64 = 1_000_000_000;

/// A soft lockup is none up to twice `kernel.watchdog_thresh`, which is 10 s.
const SOFT_LOCKUP_NS: u64 = 20 * SECOND_NS;

/// A grace period may take `rcupdate.rcu_cpu_stall_timeout`. How long it took is told in jiffies only, of no told length, so
/// it is taken for just that.
const RCU_STALL_NS: u64 = 21 * SECOND_NS;

/// The names of these among the splats.
pub(super) const SOFT_LOCKUP: &str = "soft lockup";
pub(super) const RCU_STALL: &str = "RCU stall";
pub(super) const HUNG_TASK: &str = "hung task";

/// What the first line of a soft lockup says before the CPU, and of a hung task before the seconds.
pub(super) const LOCKED_UP_ON: &str = "soft lockup - CPU#";
pub(super) const BLOCKED_FOR: &str = "blocked for more than ";

/// The window of the splat of this name that a line begins, if it is such a complaint.
pub(super) fn window(name: &str, line: &str) -> Option<Window> {
    let (cpu, length_ns, tolerable_ns) = match name {
        SOFT_LOCKUP => {
            let (cpu, stuck_s) = soft_lockup(line)?;
            (Some(cpu), u64::from(stuck_s) * SECOND_NS, SOFT_LOCKUP_NS)
        }
        RCU_STALL => half(RCU_STALL_NS),
        HUNG_TASK => half(u64::from(blocked_s(line)?) * SECOND_NS),
        _ => return None,
    };
    Some(Window { cpu, from_ns: time_ns(line)?.saturating_sub(length_ns), length_ns, tolerable_ns })
}

/// Of a wait for any CPU: held to be the host's doing where that took half of it.
fn half(length_ns: u64) -> (Option<u32>, u64, u64) {
    (None, length_ns, length_ns / 2)
}

/// For how many seconds a task was blocked.
fn blocked_s(line: &str) -> Option<u32> {
    let (_, rest) = line.split_once(BLOCKED_FOR)?;
    rest.split_once(' ')?.0.parse().ok()
}

/// The CPU of a soft lockup and for how many seconds it was stuck.
fn soft_lockup(line: &str) -> Option<(u32, u32)> {
    let (_, rest) = line.split_once(LOCKED_UP_ON)?;
    let (cpu, rest) = rest.split_once(" stuck for ")?;
    let (seconds, _) = rest.split_once('s')?;
    Some((cpu.parse().ok()?, seconds.parse().ok()?))
}

/// The time that a line of the kernel's log begins with, `[   30.123456] `, on a clock that is `CLOCK_MONOTONIC` but for what
/// passed before that was set.
fn time_ns(line: &str) -> Option<u64> {
    let (time, _) = line.strip_prefix('[')?.split_once(']')?;
    let seconds: f64 = time.trim().parse().ok()?;
    Some((seconds * SECOND_NS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<(Option<u32>, u64, u64)>) {
        let seconds = |window: Window| (window.cpu, window.from_ns / SECOND_NS, window.length_ns / SECOND_NS);
        let name = crate::host::console::splats::splat(line).unwrap();
        assert_eq!(window(name, line).map(seconds), expected, "{line}");
    }

    #[test]
    fn a_stall_has_a_window() {
        let lockup = "[   50.250000] watchdog: BUG: soft lockup - CPU#17 stuck for 22s! [swapper/17:0]";
        check(lockup, Some((Some(17), 28, 22)));
        check(&lockup.replace("] watch", "][   C17] watch"), Some((Some(17), 28, 22)));
        check("[   50.0] rcu: INFO: rcu_sched self-detected stall on CPU", Some((None, 29, 21)));
        check("[   10.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", Some((None, 0, 21)));
        check("[  250.0] INFO: task kworker/0:1:12 blocked for more than 122 seconds.", Some((None, 128, 122)));
    }

    #[test]
    fn what_does_not_tell_when_and_where_has_none() {
        check("[   50.0] watchdog: BUG: soft lockup - CPU#x stuck for 22s!", None);
        check("[   50.0] watchdog: BUG: soft lockup - CPU#1 stuck", None);
        check("[ fifty] watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", None);
        check("watchdog: BUG: soft lockup - CPU#1 stuck for 22s!", None);
        check("[  250.0] INFO: task sh:12 blocked for more than some seconds.", None);
        check("[   50.0] watchdog: Watchdog detected hard LOCKUP on cpu 1", None);
    }
}
