//! What of a trace a record keeps.

use crate::repro::{Focus, TracedEvent};

/// The end of the trace: so many events, whatever they are about.
const MOST_AT_END: usize = 1500;

/// Before that, so many of those that are about the focus.
const MOST_OF_FOCUS: usize = 500;

/// The event of a task that leaves a CPU.
const SWITCH: &str = "sched_switch";

/// The end of the trace, with what is about the focus before it; and how many events are left out.
pub(super) fn select(mut events: Vec<TracedEvent>, focus: &Focus) -> (Vec<TracedEvent>, u64) {
    let all = events.len();
    let end = events.split_off(all.saturating_sub(MOST_AT_END));
    events.retain(|event| is_about(event, focus));
    let mut kept = events.split_off(events.len().saturating_sub(MOST_OF_FOCUS));
    kept.extend(end);
    let left_out = (all - kept.len()) as u64;
    (kept, left_out)
}

/// When the task of the focus last left a CPU.
pub(super) fn last_switch(events: &[TracedEvent], focus: &Focus) -> Option<TracedEvent> {
    let left = format!("prev_pid={}", focus.task.as_ref()?.pid);
    let leaves = |event: &&TracedEvent| event.event == SWITCH && event.args.split(' ').any(|word| word == left);
    events.iter().rfind(leaves).cloned()
}

/// Whether an event is about the task, or the queue.
fn is_about(event: &TracedEvent, focus: &Focus) -> bool {
    let task = focus
        .task
        .as_ref()
        .is_some_and(|task| event.pid == task.pid || names(event, &["pid", "prev_pid", "next_pid"], task.pid));
    task || focus
        .dsq
        .is_some_and(|dsq| names(event, &["dsq_id"], dsq) || names(event, &["dsq_id"], format!("{dsq:#x}")))
}

/// Whether one of these fields has the value.
fn names(event: &TracedEvent, fields: &[&str], value: impl ToString) -> bool {
    let value = value.to_string();
    let mut words = event.args.split(' ').filter_map(|word| word.split_once('='));
    words.any(|(field, found)| fields.contains(&field) && found == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repro::FocusTask;

    fn event(at_ns: u64, pid: i32, event: &str, args: &str) -> TracedEvent {
        TracedEvent { at_ns, cpu: 0, comm: "x".to_owned(), pid, event: event.to_owned(), args: args.to_owned() }
    }

    fn focus() -> Focus {
        let task = FocusTask { comm: "w".to_owned(), pid: 113 };
        Focus { task: Some(task), cpu: Some(0), dsq: Some(0xdead) }
    }

    #[test]
    fn the_focus_goes_back_further() {
        let noise = |at_ns| event(at_ns, 5, "sched_waking", "comm=x pid=1130");
        let early =
            [event(1, 113, "a", ""), noise(2), event(3, 5, "b", "dsq_id=57005"), event(4, 5, "c", "dsq_id=0xdead x=1")];
        let switch = event(5, 5, SWITCH, "prev_comm=x prev_pid=5 ==> next_comm=w next_pid=113 next_prio=120");
        let events: Vec<TracedEvent> =
            early.into_iter().chain([switch]).chain((10..10 + MOST_AT_END as u64).map(noise)).collect();
        let (kept, left_out) = select(events, &focus());
        let times: Vec<u64> = kept.iter().map(|event| event.at_ns).take(5).collect();
        assert_eq!((times, kept.len(), left_out), (vec![1, 3, 4, 5, 10], MOST_AT_END + 4, 1));
        let many = (0..5000).map(|at_ns| event(at_ns, 113, "a", "")).collect();
        assert_eq!(select(many, &focus()).0.len(), MOST_AT_END + MOST_OF_FOCUS);
        assert_eq!(select(vec![noise(1)], &Focus::default()).0.len(), 1);
    }

    #[test]
    fn the_last_switch_is_the_one_away_from_a_cpu() {
        let away = |at_ns| {
            event(at_ns, 113, SWITCH, "prev_comm=w prev_pid=113 prev_prio=120 prev_state=R ==> next_comm=x next_pid=5")
        };
        let to = |at_ns| {
            event(at_ns, 5, SWITCH, "prev_comm=x prev_pid=5 prev_prio=120 prev_state=R ==> next_comm=w next_pid=113")
        };
        let events = [away(1), to(2), away(3), to(4), event(5, 113, "other", "prev_pid=113")];
        assert_eq!(last_switch(&events, &focus()).map(|event| event.at_ns), Some(3));
        assert_eq!(last_switch(&events, &Focus::default()), None);
    }
}
