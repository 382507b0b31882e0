//! From hits at stop points to events.

use super::places::{CGROUP_ID, CGROUP_NAME, COMM, FROM_VALUES, PID, Point, TASK_VALUES};
use super::{Event, Schedule, Task, TaskNumber, What};
use ktstr_vmm::stops::{Hit, Value};
use std::collections::{HashMap, VecDeque};

/// Events that are kept, the latest.
const MAX_EVENTS: usize = 2 << 20;

/// Comparisons of the machine's clock with the guest's that are looked at, the latest: as it boots, the kernel changes its
/// clock.
const COMPARISONS: usize = 256;

/// In `task_struct.__state`: the task has ended (include/linux/sched.h).
const TASK_DEAD: u32 = 0x80;

/// What has been seen so far.
#[derive(Debug, Default)]
pub struct Recorder {
    tasks: Tasks,
    /// By pid: who it was last, and what it does.
    last: HashMap<u32, Known>,
    events: VecDeque<Event>,
    lost: u64,
    /// How far the machine's clock was before the guest's, in nanoseconds.
    ahead_ns: VecDeque<i64>,
}

/// Each task once, by its number.
#[derive(Debug, Default)]
struct Tasks {
    all: Vec<Task>,
    numbers: HashMap<Task, TaskNumber>,
}

impl Tasks {
    fn number(&mut self, task: Task) -> TaskNumber {
        if let Some(number) = self.numbers.get(&task) {
            return *number;
        }
        let number = self.all.len() as TaskNumber;
        self.all.push(task.clone());
        self.numbers.insert(task, number);
        number
    }

    fn pid(&self, number: TaskNumber) -> u32 {
        self.all[number as usize].pid
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    number: TaskNumber,
    sleeps: bool,
    waking_ns: Option<u64>,
}

impl Recorder {
    /// Takes a hit; they come in order of time.
    pub fn hit(&mut self, point: Point, hit: &Hit) {
        let at_ns = hit.time.as_nanos() as u64;
        let number = |at: usize| hit.values.get(at).and_then(Option::as_ref).map(Value::number);
        match point {
            Point::Switch => self.switch(at_ns, hit),
            Point::Waking => {
                if let Some(pid) = number(0) {
                    self.known(pid as u32, true).waking_ns = Some(at_ns);
                }
            }
            Point::Queued => {
                let Some(on) = number(0) else { return };
                let Some(task) = self.task(hit.values.get(1..)) else { return };
                let known = self.known(self.tasks.pid(task), true);
                if known.sleeps {
                    known.sleeps = false;
                    let waking_ns = known.waking_ns.take().unwrap_or(at_ns);
                    self.push(at_ns, hit.vcpu, What::Wakeup { task, waking_ns, on: on as u32 });
                }
            }
            Point::SetCpu => {
                let to = hit.registers.and_then(|registers| registers.argument(1)).map(|to| to as u32);
                let (Some(from), Some(to)) = (number(0).map(|from| from as u32), to) else { return };
                if from != to
                    && let Some(task) = self.task(hit.values.get(1..))
                {
                    self.push(at_ns, hit.vcpu, What::Migrate { task, from, to });
                }
            }
            Point::Clock => {
                if let Some(now) = hit.registers.and_then(|registers| registers.argument(0)) {
                    if self.ahead_ns.len() == COMPARISONS {
                        self.ahead_ns.pop_front();
                    }
                    self.ahead_ns.push_back(at_ns.wrapping_sub(now).cast_signed());
                }
            }
        }
    }

    fn switch(&mut self, at_ns: u64, hit: &Hit) {
        let number = |at: usize| hit.values.get(at).and_then(Option::as_ref).map(Value::number);
        let [Some(pid), Some(state), Some(on_rq), delayed] = [number(0), number(1), number(2), number(3)] else {
            return;
        };
        let Some(to) = self.task(hit.values.get(FROM_VALUES..)) else { return };
        let sleeps = on_rq == 0 || delayed.is_some_and(|delayed| delayed != 0);
        let pid = pid as u32;
        let from = self.known(pid, false);
        from.sleeps = sleeps;
        let from = from.number;
        let state = if sleeps { state as u32 } else { 0 };
        if state & TASK_DEAD != 0 {
            // The next one of this number is another task.
            self.last.remove(&pid);
        }
        self.last.entry(self.tasks.pid(to)).and_modify(|known| known.sleeps = false);
        self.push(at_ns, hit.vcpu, What::Switch { from, state, to });
    }

    /// What happened since a moment of the guest's clock. `None` when nothing told what that clock was.
    pub fn finish(self, since_ns: u64) -> Option<Schedule> {
        // The kernel looks at its clock a little before the stop point; the least of them is the nearest.
        let ahead_ns = *self.ahead_ns.iter().min()?;
        let guest = |at_ns: u64| at_ns.saturating_add_signed(ahead_ns.saturating_neg());
        let in_guest_time = |event: Event| {
            let what = match event.what {
                What::Wakeup { task, waking_ns, on } => What::Wakeup { task, waking_ns: guest(waking_ns), on },
                other => other,
            };
            Event { at_ns: guest(event.at_ns), what, ..event }
        };
        let events = self.events.into_iter().map(in_guest_time).filter(|event| event.at_ns >= since_ns);
        // Numbered anew, so that what was seen before changes nothing.
        let mut tasks = Tasks::default();
        let mut renumber = |number: TaskNumber| tasks.number(self.tasks.all[number as usize].clone());
        let events = events.map(|event| Event { what: event.what.with_tasks(&mut renumber), ..event }).collect();
        Some(Schedule { tasks: tasks.all, events, lost: self.lost })
    }

    fn push(&mut self, at_ns: u64, cpu: u32, what: What) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
            self.lost += 1;
        }
        self.events.push_back(Event { at_ns, cpu, what });
    }

    /// Who these values tell of.
    fn task(&mut self, values: Option<&[Option<Value>]>) -> Option<TaskNumber> {
        let values = values?.get(..TASK_VALUES)?;
        let value = |at: usize| values[at].as_ref();
        let task = Task {
            pid: value(PID)?.number() as u32,
            comm: text(value(COMM)?),
            // Early in the boot there are none.
            cgroup_id: value(CGROUP_ID).map_or(0, Value::number),
            cgroup: value(CGROUP_NAME).map(text).unwrap_or_default(),
        };
        let pid = task.pid;
        let number = self.tasks.number(task);
        // A new task is made asleep.
        self.last.entry(pid).or_insert(Known { number, sleeps: true, waking_ns: None }).number = number;
        Some(number)
    }

    /// What is known of a pid; at its first event, nothing but whether it sleeps.
    fn known(&mut self, pid: u32, sleeps: bool) -> &mut Known {
        self.last.entry(pid).or_insert_with(|| {
            let number = self.tasks.number(Task { pid, ..Task::default() });
            Known { number, sleeps, waking_ns: None }
        })
    }
}

/// A C string.
fn text(value: &Value) -> String {
    let bytes = value.bytes();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
