//! The file's objects: `global`, `tasks`, and what is said of a thread.

use super::events::{self, Owner, Words};
use super::tree::Node;
use super::{Event, Phase, RtApp, RtAppError, Thread};
use crate::spec::SchedPolicy;
use ktstr_wire::CpuSet;
use std::time::Duration;

/// Threads of one file, so that a typing error does not take all memory.
const MOST_THREADS: usize = 4096;
/// Phases and events of all threads together, likewise.
const MOST_PARTS: usize = 1 << 17;
/// rt-app's own.
const MEM_BUFFER_BYTES: u64 = 4 << 20;
const REAL_TIME_PRIORITY: i64 = 10;

/// What concerns rt-app's logs, its calibration, or files of older versions; it changes nothing of what is done.
const OF_NO_CONCERN: &[&str] = &[
    "calibration",
    "logdir",
    "log_basename",
    "log_size",
    "ftrace",
    "gnuplot",
    "frag",
    "lock_pages",
    "cumulative_slack",
];

/// Where in the file something is.
pub(super) struct At<'a> {
    above: Option<&'a At<'a>>,
    key: &'a str,
}

impl<'a> At<'a> {
    pub(super) fn at(&'a self, key: &'a str) -> Self {
        Self { above: Some(self), key }
    }

    fn path(&self) -> String {
        self.above.map_or_else(|| self.key.to_owned(), |above| format!("{}.{}", above.path(), self.key))
    }

    pub(super) fn error(&self, what: impl Into<String>) -> RtAppError {
        RtAppError::new(self.path(), what)
    }

    pub(super) fn unknown(&self) -> RtAppError {
        self.error(match self.key {
            "fork" => "workers are all made before they start: give the thread as many instances as it forks",
            "taskgroup" => {
                "the cgroup is that of the scenario: declare one for each group, with a file for its threads"
            }
            "util_min" | "util_max" => "utilization is clamped for a cgroup: say it by its `uclamp`",
            "membind_nodes" | "nodes_membind" => "memory is not bound to nodes here: take WorkType::NumaMigration",
            "exec" | "lock_order" => {
                "this is of files older than rt-app 1.0, which does not run them either: say it by `run` and `lock`"
            }
            _ => "this key is not understood",
        })
    }
}

/// Makes sense of a whole file.
pub(super) fn file(node: &Node) -> Result<RtApp, RtAppError> {
    let root = At { above: None, key: "the top" };
    let mut app = RtApp {
        threads: Vec::new(),
        words: 0,
        io_device: "/dev/null".to_owned(),
        mem_buffer_bytes: MEM_BUFFER_BYTES,
        duration: None,
    };
    let entries = members(&root, node)?;
    let mut default_policy = None;
    for (_, node) in entries.iter().filter(|(key, _)| key == "global") {
        global(&At { above: None, key: "global" }, node, &mut app, &mut default_policy)?;
    }
    let mut words = Words::default();
    for (key, node) in entries {
        let at = At { above: None, key };
        match key.as_str() {
            // Resources are made where they are named.
            "global" | "resources" => {}
            "tasks" => tasks(&at, node, &mut app, default_policy, &mut words)?,
            _ => return Err(at.unknown()),
        }
    }
    if app.threads.is_empty() {
        return Err(root.error("there are no tasks"));
    }
    app.words = words.count();
    count_barrier_users(&mut app);
    Ok(app)
}

/// A barrier is of all that name it, each time that they do.
fn count_barrier_users(app: &mut RtApp) {
    let mut events: Vec<&mut Event> =
        app.threads.iter_mut().flat_map(|thread| &mut thread.phases).flat_map(|phase| &mut phase.events).collect();
    let mut counts = vec![0; app.words];
    for event in &events {
        if let Event::Barrier { barrier, .. } = event {
            counts[*barrier] += 1;
        }
    }
    for event in &mut events {
        if let Event::Barrier { barrier, users } = event {
            *users = counts[*barrier];
        }
    }
}

fn global(at: &At<'_>, node: &Node, app: &mut RtApp, policy: &mut Option<Class>) -> Result<(), RtAppError> {
    for (key, node) in members(at, node)? {
        let at = at.at(key);
        match (key.as_str(), node) {
            ("duration", node) => {
                app.duration = u64::try_from(int(&at, node)?).ok().map(Duration::from_secs);
            }
            ("default_policy", Node::Text(name)) => *policy = Some(class(&at, name)?),
            ("pi_enabled", Node::Bool(false)) => {}
            ("pi_enabled", Node::Bool(true)) => return Err(at.error("mutexes do not inherit priorities here")),
            ("io_device", Node::Text(path)) if path.len() < 200 && !path.contains('\0') => {
                app.io_device.clone_from(path)
            }
            ("mem_buffer_size", Node::Int(bytes @ 1..)) => app.mem_buffer_bytes = *bytes as u64,
            (name, _) if OF_NO_CONCERN.contains(&name) => {}
            ("default_policy" | "pi_enabled" | "io_device" | "mem_buffer_size", _) => {
                return Err(at.error("this value is not understood"));
            }
            _ => return Err(at.unknown()),
        }
    }
    Ok(())
}

fn tasks(
    at: &At<'_>,
    node: &Node,
    app: &mut RtApp,
    default_policy: Option<Class>,
    words: &mut Words,
) -> Result<(), RtAppError> {
    for (name, node) in members(at, node)? {
        let at = at.at(name);
        let entries = members(&at, node)?;
        let instances =
            entries.iter().find(|(key, _)| key == "instance").map_or(Ok(1), |(key, node)| int(&at.at(key), node))?;
        let instances = usize::try_from(instances).map_err(|_| at.error("the number of instances is below 0"))?;
        if app.threads.len().saturating_add(instances) > MOST_THREADS {
            return Err(at.error(format!("these are more than {MOST_THREADS} threads")));
        }
        for _ in 0..instances {
            let parts = |thread: &Thread| thread.phases.iter().map(|phase| 1 + phase.events.len()).sum::<usize>();
            if app.threads.last().map_or(0, parts) * instances > MOST_PARTS {
                return Err(at.error("its instances do too many different things"));
            }
            let owner = Owner { name, number: app.threads.len() };
            app.threads.push(thread(&at, entries, &owner, default_policy, words)?);
        }
    }
    Ok(())
}

fn thread(
    at: &At<'_>,
    entries: &[(String, Node)],
    owner: &Owner<'_>,
    default_policy: Option<Class>,
    words: &mut Words,
) -> Result<Thread, RtAppError> {
    let mut thread =
        Thread { name: owner.name.to_owned(), policy: None, cpus: None, delay_ns: 0, loops: None, phases: Vec::new() };
    let mut rules = Rules { class: default_policy, ..Rules::default() };
    let mut events = Vec::new();
    for (key, node) in entries {
        let at = at.at(key);
        if rules.take(&at, key, node)? {
            continue;
        }
        match (key.as_str(), node) {
            ("instance", _) => {}
            ("loop", _) => thread.loops = loops(&at, node)?,
            ("cpus", _) => thread.cpus = Some(cpus(&at, node)?),
            ("delay", _) => thread.delay_ns = nonnegative(&at, node)?.saturating_mul(1000).min(u64::MAX / 4),
            ("phases", _) => {
                for (name, node) in members(&at, node)? {
                    thread.phases.push(phase(&at.at(name), node, owner, default_policy, words)?);
                }
            }
            _ => events::add(&mut events, &at, key, node, owner, words)?,
        }
    }
    if !events.is_empty() && !thread.phases.is_empty() {
        return Err(at.error("it has phases, and events outside of them"));
    }
    if !events.is_empty() {
        // The loops are the thread's own then.
        thread.phases.push(Phase { loops: Some(1), cpus: None, policy: None, events });
    }
    if thread.phases.iter().all(|phase| phase.events.is_empty() || phase.loops == Some(0)) {
        return Err(at.error("it does nothing"));
    }
    thread.policy = rules.policy(at)?;
    Ok(thread)
}

fn phase(
    at: &At<'_>,
    node: &Node,
    owner: &Owner<'_>,
    default_policy: Option<Class>,
    words: &mut Words,
) -> Result<Phase, RtAppError> {
    let mut phase = Phase { loops: Some(1), cpus: None, policy: None, events: Vec::<Event>::new() };
    let mut rules = Rules::default();
    for (key, node) in members(at, node)? {
        let at = at.at(key);
        match key.as_str() {
            "loop" => phase.loops = loops(&at, node)?,
            "cpus" => phase.cpus = Some(cpus(&at, node)?),
            _ if rules.take(&at, key, node)? => {}
            _ => events::add(&mut phase.events, &at, key, node, owner, words)?,
        }
    }
    if rules.is_said {
        phase.policy = Rules { class: rules.class.or(default_policy), ..rules }.policy(at)?;
    }
    Ok(phase)
}

/// A scheduling class by rt-app's name.
#[derive(Clone, Copy)]
enum Class {
    Other,
    Batch,
    Idle,
    Fifo,
    RoundRobin,
    Deadline,
}

fn class(at: &At<'_>, name: &str) -> Result<Class, RtAppError> {
    Ok(match name {
        "SCHED_OTHER" => Class::Other,
        "SCHED_BATCH" => Class::Batch,
        "SCHED_IDLE" => Class::Idle,
        "SCHED_FIFO" => Class::Fifo,
        "SCHED_RR" => Class::RoundRobin,
        "SCHED_DEADLINE" => Class::Deadline,
        _ => return Err(at.error(format!("{name:?} is no scheduling policy"))),
    })
}

/// What is said of how a thread is scheduled.
#[derive(Default)]
struct Rules {
    /// Whether anything is.
    is_said: bool,
    class: Option<Class>,
    priority: Option<i64>,
    runtime_us: Option<u64>,
    deadline_us: Option<u64>,
    period_us: Option<u64>,
}

impl Rules {
    /// Takes what a key says of it; whether it does.
    fn take(&mut self, at: &At<'_>, key: &str, node: &Node) -> Result<bool, RtAppError> {
        match (key, node) {
            ("policy", Node::Text(name)) => self.class = Some(class(at, name)?),
            ("priority", _) => self.priority = Some(int(at, node)?),
            ("dl-runtime", _) => self.runtime_us = Some(nonnegative(at, node)?),
            ("dl-period", _) => self.period_us = Some(nonnegative(at, node)?),
            ("dl-deadline", _) => self.deadline_us = Some(nonnegative(at, node)?),
            _ => return Ok(false),
        }
        self.is_said = true;
        Ok(true)
    }

    /// The policy and the nice value; `None` when nothing is said, so that they are as of any worker.
    fn policy(&self, at: &At<'_>) -> Result<Option<(SchedPolicy, i32)>, RtAppError> {
        let nice = || {
            let nice = self.priority.unwrap_or(0);
            i32::try_from(nice)
                .ok()
                .filter(|nice| (-20..=19).contains(nice))
                .ok_or_else(|| at.error("nice values are from -20 to 19"))
        };
        let real_time = || {
            let priority = self.priority.unwrap_or(REAL_TIME_PRIORITY);
            u32::try_from(priority)
                .ok()
                .filter(|priority| (1..=99).contains(priority))
                .ok_or_else(|| at.error("real-time priorities are from 1 to 99"))
        };
        let us = |us: u64| Duration::from_micros(us);
        Ok(Some(match self.class {
            None if self.priority.is_none() => return Ok(None),
            None | Some(Class::Other) => (SchedPolicy::Normal, nice()?),
            Some(Class::Batch) => (SchedPolicy::Batch, nice()?),
            Some(Class::Idle) => (SchedPolicy::Idle, nice()?),
            Some(Class::Fifo) => (SchedPolicy::Fifo(real_time()?), 0),
            Some(Class::RoundRobin) => (SchedPolicy::RoundRobin(real_time()?), 0),
            Some(Class::Deadline) => {
                let runtime_us = self.runtime_us.ok_or_else(|| at.error("SCHED_DEADLINE needs a `dl-runtime`"))?;
                let period_us = self.period_us.unwrap_or(runtime_us);
                let deadline_us = self.deadline_us.unwrap_or(period_us);
                let policy =
                    SchedPolicy::Deadline { runtime: us(runtime_us), deadline: us(deadline_us), period: us(period_us) };
                (policy, 0)
            }
        }))
    }
}

fn loops(at: &At<'_>, node: &Node) -> Result<Option<u64>, RtAppError> {
    Ok(u64::try_from(int(at, node)?).ok())
}

fn cpus(at: &At<'_>, node: &Node) -> Result<CpuSet, RtAppError> {
    let Node::List(list) = node else { return Err(at.error("it takes a list of CPUs")) };
    let cpu = |node: &Node| {
        u32::try_from(int(at, node)?).ok().filter(|cpu| *cpu < 8192).ok_or_else(|| at.error("there is no such CPU"))
    };
    let cpus: CpuSet = list.iter().map(cpu).collect::<Result<_, _>>()?;
    if cpus.is_empty() { Err(at.error("it takes one CPU at least")) } else { Ok(cpus) }
}

fn nonnegative(at: &At<'_>, node: &Node) -> Result<u64, RtAppError> {
    u64::try_from(int(at, node)?).map_err(|_| at.error("it takes a whole number of at least 0"))
}

pub(super) fn int(at: &At<'_>, node: &Node) -> Result<i64, RtAppError> {
    match node {
        Node::Int(number) => Ok(*number),
        _ => Err(at.error("it takes a whole number")),
    }
}

pub(super) fn members<'a>(at: &At<'_>, node: &'a Node) -> Result<&'a [(String, Node)], RtAppError> {
    match node {
        Node::Object(entries) => Ok(entries),
        _ => Err(at.error("it takes an object")),
    }
}
