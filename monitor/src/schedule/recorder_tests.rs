//! Tests of the recorder on hits made by hand.

use super::*;
use ktstr_vmm::stops::Registers;
use std::time::Duration;

/// The machine's clock is this far ahead of the guest's.
const AHEAD_NS: u64 = 1000;

struct Guest(Recorder);

fn number(number: u64) -> Option<Value> {
    Some(Value::new(number.to_le_bytes()))
}

/// The values of a task, in a cgroup of this name.
fn task(pid: u32, cgroup: &str) -> Vec<Option<Value>> {
    let name = |text: &str| Some(Value::new(format!("{text}\0\0rest")));
    let pointer = || number(0xffff_8880_0000_1000);
    vec![
        number(pid.into()),
        name(&format!("task-{pid}")),
        pointer(),
        pointer(),
        pointer(),
        number(7),
        pointer(),
        name(cgroup),
    ]
}

impl Guest {
    fn new() -> Self {
        let mut guest = Self(Recorder::default());
        // Later comparisons are as good or worse.
        for (machine_ns, guest_ns) in [(2000, 1000), (3000, 1990)] {
            guest.hit(Point::Clock, machine_ns, 0, [guest_ns, 0, 0, 0, 0, 0], Vec::new());
        }
        guest
    }

    fn hit(&mut self, point: Point, at_ns: u64, vcpu: u32, arguments: [u64; 6], values: Vec<Option<Value>>) {
        let registers = Some(Registers::with_arguments(arguments));
        self.0.hit(point, &Hit { vcpu, time: Duration::from_nanos(at_ns), registers, values });
    }

    fn switch(&mut self, at_ns: u64, from: u32, state: u64, on_rq: u64, delayed: Option<u64>, to: u32) {
        let mut values = vec![number(from.into()), number(state), number(on_rq), delayed.and_then(number)];
        values.extend(task(to, "a"));
        self.hit(Point::Switch, at_ns, 0, [0; 6], values);
    }

    fn waking(&mut self, at_ns: u64, pid: u32) {
        self.hit(Point::Waking, at_ns, 1, [0; 6], vec![number(pid.into())]);
    }

    fn queued(&mut self, at_ns: u64, pid: u32) {
        let mut values = vec![number(3)];
        values.extend(task(pid, "a"));
        self.hit(Point::Queued, at_ns, 1, [0; 6], values);
    }

    /// Pids instead of numbers.
    fn events(self) -> Vec<(u64, String)> {
        let schedule = self.0.finish(0).unwrap();
        let pid = |number: TaskNumber| schedule.tasks[number as usize].pid;
        let text = |what| match what {
            What::Switch { from, state, to } => format!("{}:{state} -> {}", pid(from), pid(to)),
            What::Wakeup { task, waking_ns, on } => format!("{} woken since {waking_ns} on {on}", pid(task)),
            What::Migrate { task, from, to } => format!("{} from {from} to {to}", pid(task)),
        };
        schedule.events.iter().map(|event| (event.at_ns, text(event.what))).collect()
    }

    fn check(self, expected: &[(u64, &str)]) {
        let expected: Vec<_> = expected.iter().map(|(at_ns, text)| (*at_ns, (*text).to_owned())).collect();
        assert_eq!(self.events(), expected);
    }
}

#[test]
fn a_task_that_sleeps_is_woken_once() {
    let mut guest = Guest::new();
    guest.switch(5000, 1, 1, 0, Some(0), 0);
    guest.waking(6000, 1);
    guest.queued(6100, 1);
    // Moved while it waits.
    guest.queued(6200, 1);
    guest.switch(7000, 0, 0, 1, Some(0), 1);
    guest.check(&[(4000, "1:1 -> 0"), (5100, "1 woken since 5000 on 3"), (6000, "0:0 -> 1")]);
}

#[test]
fn who_is_preempted_or_going_to_sleep_is_not_asleep() {
    let mut guest = Guest::new();
    guest.switch(5000, 1, 1, 1, Some(0), 2);
    guest.queued(6000, 1);
    guest.check(&[(4000, "1:0 -> 2")]);
}

#[test]
fn who_sleeps_on_the_runqueue_is_asleep() {
    let mut guest = Guest::new();
    guest.switch(5000, 1, 2, 1, Some(1), 2);
    guest.waking(5500, 1);
    guest.queued(6000, 1);
    guest.check(&[(4000, "1:2 -> 2"), (5000, "1 woken since 4500 on 3")]);
}

#[test]
fn a_kernel_without_the_member_is_understood() {
    let mut guest = Guest::new();
    guest.switch(5000, 1, 1, 0, None, 2);
    guest.switch(6000, 2, 1, 1, None, 3);
    guest.check(&[(4000, "1:1 -> 2"), (5000, "2:0 -> 3")]);
}

#[test]
fn a_new_task_is_woken_by_whoever_makes_it() {
    let mut guest = Guest::new();
    guest.queued(5000, 9);
    guest.waking(5500, 9);
    guest.switch(6000, 9, 0x80, 0, Some(0), 0);
    // Another one of this number: what is known of the first does not count.
    guest.queued(8000, 9);
    guest.check(&[(4000, "9 woken since 4000 on 3"), (5000, "9:128 -> 0"), (7000, "9 woken since 7000 on 3")]);
}

#[test]
fn a_move_to_where_a_task_is_is_none() {
    let mut guest = Guest::new();
    for to in [2, 5] {
        let mut values = vec![number(2)];
        values.extend(task(4, "a"));
        guest.hit(Point::SetCpu, 5000, 0, [0, to, 0, 0, 0, 0], values);
    }
    guest.check(&[(4000, "4 from 2 to 5")]);
}

#[test]
fn what_cannot_be_read_is_no_event() {
    let mut guest = Guest::new();
    for point in [Point::Switch, Point::Waking, Point::Queued, Point::SetCpu] {
        guest.hit(point, 5000, 0, [0; 6], Vec::new());
        guest.hit(point, 5000, 0, [0; 6], vec![None; 16]);
    }
    guest.check(&[]);
    let never_told = Recorder::default();
    assert_eq!(never_told.finish(0), None);
}

#[test]
fn only_what_is_asked_for_is_told_and_a_task_can_change() {
    let mut guest = Guest::new();
    guest.switch(5000, 0, 0, 1, None, 1);
    guest.switch(6000, 1, 0, 1, None, 0);
    let mut moved = vec![number(0), number(0), number(1), None];
    moved.extend(task(1, "b"));
    guest.hit(Point::Switch, 7000, 0, [0; 6], moved);
    let schedule = guest.0.finish(5000).unwrap();
    assert_eq!(schedule.events.iter().map(|event| event.at_ns + AHEAD_NS).collect::<Vec<_>>(), [6000, 7000]);
    let cgroups: Vec<_> = schedule.tasks.iter().filter(|task| task.pid == 1).map(|task| &task.cgroup).collect();
    assert_eq!(cgroups, ["a", "b"]);
}

#[test]
fn waits_are_from_the_waking_to_the_run() {
    let mut guest = Guest::new();
    guest.switch(5000, 1, 1, 0, None, 0);
    for round in 0..100 {
        let at_ns = 10_000 + round * 1000;
        guest.waking(at_ns, 1);
        guest.queued(at_ns + 10, 1);
        guest.switch(at_ns + 20 + round, 0, 0, 1, None, 1);
        guest.switch(at_ns + 500, 1, 1, 0, None, 0);
    }
    guest.waking(200_000, 1);
    guest.queued(200_010, 1);
    let latencies = guest.0.finish(0).unwrap().latencies();
    let [latency] = &latencies[..] else { panic!("{latencies:?}") };
    assert_eq!((latency.pid, latency.comm.as_str(), latency.cgroup.as_str()), (1, "task-1", "a"));
    assert_eq!((latency.wakeups, latency.unserved), (100, 1));
    assert_eq!((latency.p50_ns, latency.p99_ns, latency.max_ns), (20 + 49, 20 + 98, 20 + 99));
    assert_eq!(latency.max_at_ns, 10_000 + 99 * 1000 - AHEAD_NS);
}
