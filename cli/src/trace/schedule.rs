//! What ran where, by what the kernel's scheduler did.

use super::build::Label;
use super::slices::Slice;
use anyhow::{Context, Result};
use ktstr::{Record, SchedulePart};
use ktstr_monitor::schedule::{Event, Schedule, Task, What};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The kernel's number for idle tasks.
const IDLE: u32 = 0;

/// Reads what was kept beside a record; `None` when nothing was to be.
///
/// # Errors
/// When the file cannot be read, or is not what it should be.
pub(super) fn read(record: &Record, dir: &Path) -> Result<Option<Schedule>> {
    let Some(SchedulePart { file: Some(name), .. }) = &record.host.schedule else { return Ok(None) };
    // A record names a file beside it, and nothing else.
    let name = Path::new(name).file_name().context("the record names no file for its schedule")?;
    let path = dir.join(name);
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).map(Some).with_context(|| format!("{} is no schedule", path.display()))
}

/// Where a task ran, and who it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run<'a> {
    pub(super) cpu: u32,
    pub(super) task: &'a Task,
}

/// Every stretch in which a task ran that is not an idle one, in order on each CPU. A CPU's first began at `from_ns`.
pub(super) fn runs(schedule: &Schedule, from_ns: u64) -> Vec<Slice<Run<'_>>> {
    // By CPU: since when which task runs.
    let mut running: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
    let mut runs = Vec::new();
    let mut end = |cpu: u32, number: u32, began_ns: u64, to_ns: u64| {
        if let Some(task) = schedule.tasks.get(number as usize).filter(|task| task.pid != IDLE) {
            runs.push(Slice { from_ns: began_ns.min(to_ns), to_ns, what: Run { cpu, task } });
        }
    };
    for Event { at_ns, cpu, what } in &schedule.events {
        if let What::Switch { from, to, .. } = what {
            // The number of the task that it went to before is that of its name and cgroup then.
            let (began_ns, number) = running.insert(*cpu, (*at_ns, *to)).unwrap_or((from_ns, *from));
            end(*cpu, number, began_ns, *at_ns);
        }
    }
    let last_ns = schedule.events.last().map_or(from_ns, |event| event.at_ns);
    running.into_iter().for_each(|(cpu, (began_ns, number))| end(cpu, number, began_ns, last_ns));
    runs
}

/// Wakeups and moves, each with the CPU where the task then is.
pub(super) fn moves(schedule: &Schedule) -> impl Iterator<Item = (u32, u64, Label)> {
    schedule.events.iter().filter_map(|event| {
        let task = |number: u32| schedule.tasks.get(number as usize);
        match event.what {
            What::Switch { .. } => None,
            What::Wakeup { task: number, waking_ns, on } => {
                let label = Label::new(format!("wakeup of {}", name(task(number)?)));
                let label = label
                    .with("by CPU", event.cpu)
                    .with("began", format!("{} ns before", event.at_ns - waking_ns.min(event.at_ns)));
                Some((on, event.at_ns, label))
            }
            What::Migrate { task: number, from, to } => {
                let label = Label::new(format!("{} comes from CPU {from}", name(task(number)?)));
                Some((to, event.at_ns, label.with("by CPU", event.cpu)))
            }
        }
    })
}

/// A task for people.
pub(super) fn name(task: &Task) -> String {
    format!("{} {}", task.comm, task.pid)
}
