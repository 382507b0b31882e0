//! What is to be recorded in the second run.

use super::crash::Told;
use ktstr_kernels::Kernel;
use ktstr_wire::trace::{TraceOrder, TraceStop};

/// The most functions of the path to a crash.
const MAX_PATH: usize = 32;

/// Size of all rings together: seconds of a busy machine.
const RING_BYTES: u64 = 8 << 20;

/// The most text of the trace that is asked for.
const MAX_TEXT_BYTES: u64 = 6 << 20;

/// What any crash of a scheduler may come from: who ran where, and what sched_ext says itself.
const EVENTS: [&str; 6] = [
    "sched/sched_switch",
    "sched/sched_wakeup",
    "sched/sched_waking",
    "sched/sched_wakeup_new",
    "sched/sched_migrate_task",
    "sched_ext",
];

/// Functions of kernel/sched/ext.c that a task passes on its way, and what the BPF programs call there; by their names in
/// several releases.
const USUAL: [&str; 20] = [
    "scx_vexit",
    "scx_disable_workfn",
    "enqueue_task_scx",
    "dequeue_task_scx",
    "set_next_task_scx",
    "put_prev_task_scx",
    "scx_do_enqueue_task",
    "do_enqueue_task",
    "scx_dispatch_enqueue",
    "dispatch_enqueue",
    "scx_bpf_dsq_insert___v2",
    "scx_bpf_dsq_insert",
    "scx_bpf_dsq_insert_vtime",
    "__scx_bpf_dsq_insert_vtime",
    "scx_bpf_dsq_move_to_local___v2",
    "scx_bpf_dsq_move_to_local",
    "scx_bpf_kick_cpu",
    "scx_bpf_select_cpu_dfl",
    "scx_bpf_error_bstr",
    "scx_bpf_exit_bstr",
];

/// Where a path comes from, whatever it is: interrupts, system calls and threads pass there all the time.
const ENTRIES: [&str; 8] = [
    "process_one_work",
    "worker_thread",
    "kthread",
    "ret_from_fork",
    "__hrtimer_run_queues",
    "update_process_times",
    "do_syscall_64",
    "schedule",
];

/// What ends the trace: sched_ext ends a scheduler for an error (`SCX_EXIT_ERROR` and above, kernel/sched/ext_internal.h), by
/// its own event where the kernel has one.
const STOPS: [&str; 2] = ["sched_ext/sched_ext_exit", "scx_vexit"];
const IS_ERROR: &str = "kind >= 1024";

/// What to record to see this crash coming.
pub(super) fn order(told: &Told, kernel: &Kernel) -> TraceOrder {
    let symbols = kernel.symbols().ok();
    let usual = USUAL.iter().filter(|name| symbols.as_ref().is_none_or(|symbols| symbols.address(name).is_some()));
    let mut functions = path(&told.words);
    for name in usual {
        if !functions.iter().any(|function| function == name) {
            functions.push((*name).to_owned());
        }
    }
    TraceOrder {
        events: EVENTS.map(str::to_owned).to_vec(),
        functions,
        programs: true,
        stops: STOPS.map(|event| TraceStop { event: event.to_owned(), when: IS_ERROR.to_owned() }).to_vec(),
        ring_bytes: RING_BYTES,
        most_text_bytes: MAX_TEXT_BYTES,
    }
}

/// The functions of the kernel's first backtrace, the innermost first, as far as they tell the way to this crash. BPF programs
/// are recorded anyway, and are no functions of the kernel.
pub(super) fn path(words: &[String]) -> Vec<String> {
    let mut functions: Vec<String> = Vec::new();
    let mut began = false;
    for line in words {
        let Some(name) = frame(line) else {
            // Other lines may stand before and between, but not in a backtrace that has begun.
            if began && line.trim().is_empty() {
                break;
            }
            continue;
        };
        began = true;
        if ENTRIES.contains(&name) || functions.len() == MAX_PATH {
            break;
        }
        if !name.starts_with("bpf_") && !functions.iter().any(|function| function == name) {
            functions.push(name.to_owned());
        }
    }
    functions
}

/// The function of a line of a backtrace: `  scx_vexit+0x6d/0xa0`, `RIP: 0010:scx_vexit+0x6d/0xa0`. One behind a question mark
/// was on the stack and perhaps not called.
fn frame(line: &str) -> Option<&str> {
    let line = line.trim_end();
    // A module follows in brackets.
    let line = line
        .split_once(" [")
        .filter(|(_, rest)| rest.ends_with(']') && !rest.contains("] "))
        .map_or(line, |(line, _)| line);
    let (before, last) = line.rsplit_once([' ', ':']).unwrap_or(("", line));
    let (name, offset) = last.split_once("+0x")?;
    let is_offset = offset.split_once("/0x").is_some_and(|(at, of)| [at, of].iter().all(|digits| is_hex(digits)));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit() && byte != b'.');
    (is_offset && is_name && begins && !before.ends_with('?')).then_some(name)
}

fn is_hex(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(path(&text.lines().map(str::to_owned).collect::<Vec<_>>()), expected, "{text}");
    }

    #[test]
    fn a_path_ends_where_everything_passes() {
        check(
            "qmap: root\nkworker/u8:1[28] triggered exit kind 1026 on CPU 0:\n\nBacktrace:\n  scx_vexit+0x6d/0xa0\n  \
             __scx_exit+0x4f/0x70\n  scx_watchdog_workfn+0x1b6/0x260\n  process_one_work+0x1cd/0x3c0\n  kthread+0xe5/0x120\n",
            &["scx_vexit", "__scx_exit", "scx_watchdog_workfn"],
        );
        check(
            "3:    scx_exit_bstr+0xdd/0x110\n3:    scx_bpf_error_bstr+0x60/0xa0\n3:    bpf_prog_262d201a951a2805_qmap_enqueue+0x1a7/0xd63\n\
             3:    bpf__sched_ext_ops_cid_enqueue+0x50/0xb0\n3:    scx_do_enqueue_task+0x310/0x7d0\n\n3:    other+0x1/0x2",
            &["scx_exit_bstr", "scx_bpf_error_bstr", "scx_do_enqueue_task"],
        );
        let long: String = (0..100).map(|number| format!(" f{number}+0x1/0x2\n")).collect();
        assert_eq!(path(&long.lines().map(str::to_owned).collect::<Vec<_>>()).len(), MAX_PATH);
    }

    #[test]
    fn frames_are_known_by_their_offsets() {
        let check = |line: &str, expected: Option<&str>| assert_eq!(frame(line), expected, "{line}");
        check("[    4.1] RIP: 0010:pick_task_scx+0x6d/0xa0", Some("pick_task_scx"));
        check("[    4.1]  scx_enable.isra.0+0x6d/0xa0 [some_module]", Some("scx_enable.isra.0"));
        check("[    4.1]  ? schedule+0x6d/0xa0", None);
        for line in ["", "a+0x", "a+0x1", "a+0x1/0x", "+0x1/0x2", "1a+0x1/0x2", "a b", "a-b+0x1/0x2", "CPU: 1 PID: 3"] {
            check(line, None);
        }
    }

    proptest! {
        #[test]
        fn any_words_are_taken(words: Vec<String>) {
            prop_assert!(path(&words).len() <= MAX_PATH);
        }
    }
}
