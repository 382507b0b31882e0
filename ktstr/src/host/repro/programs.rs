//! Calls of a scheduler's BPF programs, which probes print as numbers: with the names of their arguments, and tasks by theirs.

use crate::repro::TracedEvent;
use ktstr_wire::trace::PROGRAM_MARK;
use std::collections::HashMap;

/// What a probe prints is this event.
const PRINTED: &str = "bpf_trace_printk";

/// Before the name of a program that was called.
const PREFIX: &str = "bpf:";

/// Callbacks and their arguments (`struct sched_ext_ops`, kernel/sched/ext_internal.h). By custom a program is called as its
/// callback, with something in front.
const CALLBACKS: &[(&str, &[&str])] = &[
    ("select_cpu", &["p", "prev_cpu", "wake_flags"]),
    ("enqueue", &["p", "enq_flags"]),
    ("dequeue", &["p", "deq_flags"]),
    ("dispatch", &["cpu", "prev"]),
    ("tick", &["p"]),
    ("runnable", &["p", "enq_flags"]),
    ("running", &["p"]),
    ("stopping", &["p", "runnable"]),
    ("quiescent", &["p", "deq_flags"]),
    ("yield", &["from", "to"]),
    ("core_sched_before", &["a", "b"]),
    ("set_weight", &["p", "weight"]),
    ("set_cpumask", &["p", "cpumask"]),
    ("update_idle", &["cpu", "idle"]),
    ("cpu_acquire", &["cpu", "args"]),
    ("cpu_release", &["cpu", "args"]),
    ("init_task", &["p", "args"]),
    ("exit_task", &["p", "args"]),
    ("enable", &["p"]),
    ("disable", &["p"]),
    ("cpu_online", &["cpu"]),
    ("cpu_offline", &["cpu"]),
];

/// Arguments that are CPUs, or none of them.
const SIGNED: [&str; 2] = ["cpu", "prev_cpu"];

/// Makes calls of what probes have printed. Tasks are known from the calls of kernel functions before.
pub(super) fn name(events: &mut [TracedEvent]) {
    let mut tasks = HashMap::new();
    for event in events {
        if let Some(task) = task(event) {
            tasks.insert(task.0, task.1);
        }
        if let Some((name, args)) = call(event, &tasks) {
            (event.event, event.args) = (format!("{PREFIX}{name}"), args);
        }
    }
}

/// The address of the task that a kernel function was given, and what its probe tells of it, as `pid=… comm="…"`.
fn task(event: &TracedEvent) -> Option<(u64, String)> {
    let address = event.args.split(' ').find_map(|word| word.strip_prefix("p=0x"))?;
    let (_, task) = event.args.split_once(" pid=")?;
    Some((u64::from_str_radix(address, 16).ok()?, format!("pid={task}")))
}

/// The program and its arguments.
fn call(event: &TracedEvent, tasks: &HashMap<u64, String>) -> Option<(String, String)> {
    if event.event != PRINTED {
        return None;
    }
    let mut words = event.args.strip_prefix(PROGRAM_MARK.trim_end())?.split_ascii_whitespace();
    let name = words.next()?;
    let values: Option<Vec<u64>> = words.map(|word| u64::from_str_radix(word, 16).ok()).collect();
    let values = values.filter(|values| values.len() == 3)?;
    let is_called =
        |callback: &str| name.strip_suffix(callback).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    let known = CALLBACKS.iter().filter(|(callback, _)| is_called(callback)).max_by_key(|(callback, _)| callback.len());
    let args = match known {
        Some((_, names)) => named(names, &values, tasks),
        None => values.iter().map(|value| format!("{value:#x}")).collect::<Vec<_>>().join(" "),
    };
    Some((name.to_owned(), args))
}

fn named(names: &[&str], values: &[u64], tasks: &HashMap<u64, String>) -> String {
    let mut words: Vec<String> = Vec::new();
    for (name, value) in names.iter().zip(values) {
        words.push(match SIGNED.contains(name) {
            true => format!("{name}={}", *value as i32),
            false => format!("{name}={value:#x}"),
        });
    }
    // Of two tasks the first is what it is about.
    words.extend(values.iter().take(names.len()).find_map(|value| tasks.get(value).cloned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event: &str, args: &str) -> TracedEvent {
        TracedEvent { at_ns: 1, cpu: 0, comm: "x".to_owned(), pid: 1, event: event.to_owned(), args: args.to_owned() }
    }

    fn check(printed: &str, name: &str, args: &str) {
        let known = event("enqueue_task_scx", "(enqueue_task_scx+0x4) rq=0x1 p=0xff80 pid=113 comm=\"a b\"");
        let mut events = [known.clone(), event(PRINTED, printed)];
        super::name(&mut events);
        assert_eq!(events, [known, event(name, args)], "{printed}");
    }

    #[test]
    fn calls_have_the_names_of_their_arguments() {
        check("ktstr: my_enqueue ff80 8 ffff", "bpf:my_enqueue", "p=0xff80 enq_flags=0x8 pid=113 comm=\"a b\"");
        check("ktstr: dispatch 1 ff80 0", "bpf:dispatch", "cpu=1 prev=0xff80 pid=113 comm=\"a b\"");
        check("ktstr: a_select_cpu 1 ffffffff 0", "bpf:a_select_cpu", "p=0x1 prev_cpu=-1 wake_flags=0x0");
        check("ktstr: a_core_sched_before 1 2 3", "bpf:a_core_sched_before", "a=0x1 b=0x2");
        check("ktstr: what_is_this ff80 8 0", "bpf:what_is_this", "0xff80 0x8 0x0");
    }

    #[test]
    fn what_others_print_stays() {
        for printed in ["", "ktstr:", "ktstr: a", "ktstr: a 1 2", "ktstr: a 1 2 x", "ktstr: a 1 2 3 4", "a 1 2 3"] {
            check(printed, PRINTED, printed);
        }
    }
}
