//! Which tracks a record makes: what was done, what ran on each CPU, each worker of each cgroup, gaps and findings.

use super::build::{Builder, Label, Track};
use super::schedule::{self, Run};
use super::slices::{Slice, flatten, rows};
use crate::units;
use ktstr::{Finding, Record, StimulusKind, Topology, Verdict};
use ktstr_monitor::schedule::{Schedule, Task};
use ktstr_workload::WorkerReport;
use std::collections::BTreeMap;

/// The trace of a record, and of what the scheduler did if that is known.
pub(super) fn of(record: &Record, schedule: Option<&Schedule>) -> Vec<u8> {
    let reports = record.guest.result.as_ref().map_or(&[][..], |result| &result.reports);
    let mut builder = Builder::default();
    scenario(&mut builder, record, reports);
    match schedule {
        Some(schedule) => {
            let runs = schedule::runs(schedule, record.guest.started_ns.unwrap_or(0));
            cpus_as_scheduled(&mut builder, record, schedule, &runs);
            cgroups_as_scheduled(&mut builder, reports, &runs);
        }
        None => {
            cpus(&mut builder, record, reports);
            cgroups(&mut builder, reports);
        }
    }
    gaps(&mut builder, reports);
    findings(&mut builder, &record.verdict);
    builder.finish()
}

/// The test as a whole, its phases, and what it did.
fn scenario(builder: &mut Builder, record: &Record, reports: &[WorkerReport]) {
    let top = builder.track(None, "Scenario");
    let stimuli = &record.guest.stimuli;
    let end = |report: &WorkerReport| report.from_ns.saturating_add(report.wall_time_ns);
    let ends =
        reports.iter().map(end).chain(stimuli.iter().map(|stimulus| stimulus.at_ns)).chain(record.guest.exited_ns);
    let begins = reports.iter().map(|report| report.from_ns).chain(record.guest.started_ns);
    let (from_ns, to_ns) = (begins.min().unwrap_or(0), ends.max().unwrap_or(0));
    let whole = Slice { from_ns, to_ns: to_ns.max(from_ns), what: () };
    builder.slices(top, "test", &[whole], |()| test(record));

    let (phases, others): (Vec<_>, Vec<_>) = stimuli.iter().partition(|stimulus| stimulus.kind == StimulusKind::Phase);
    let ends = phases.iter().skip(1).map(|next| next.at_ns).chain([to_ns]);
    let phases: Vec<Slice<&str>> = phases
        .iter()
        .zip(ends)
        .map(|(phase, to_ns)| Slice { from_ns: phase.at_ns, to_ns: to_ns.max(phase.at_ns), what: phase.text.as_str() })
        .collect();
    if !phases.is_empty() {
        let track = builder.track(Some(top), "phases");
        builder.slices(track, "phase", &phases, |text| Label::new(*text));
    }
    if !others.is_empty() {
        let track = builder.track(Some(top), "what was done");
        for stimulus in others {
            let kind = if stimulus.kind == StimulusKind::Note { "note" } else { "op" };
            let took = Label::new(&stimulus.text).with("took", units::duration(stimulus.took_ns as f64));
            let label = stimulus.error.iter().fold(took, |label, error| label.with("error", error));
            builder.instant(track, stimulus.at_ns, kind, label);
        }
    }
}

fn test(record: &Record) -> Label {
    let kernel = record.kernel.as_ref().map_or("unknown", |kernel| &kernel.release);
    Label::new(record.title())
        .with("verdict", &record.verdict)
        .with("machine", record.machine.topology)
        .with("kernel", kernel)
        .with("seed", record.seed)
        .with("again", &record.host.again)
}

fn who(report: &WorkerReport) -> String {
    let cgroup = if report.cgroup.is_empty() { "(no cgroup)" } else { &report.cgroup };
    format!("{cgroup}/{}", report.index)
}

fn cpus_as_scheduled(builder: &mut Builder, record: &Record, schedule: &Schedule, runs: &[Slice<Run<'_>>]) {
    let top = builder.track(None, "CPUs");
    let mut by_cpu: BTreeMap<u32, Vec<Slice<Run<'_>>>> = BTreeMap::new();
    for run in runs {
        by_cpu.entry(run.what.cpu).or_default().push(*run);
    }
    let mut moves: BTreeMap<u32, Vec<(u64, Label)>> = BTreeMap::new();
    for (cpu, at_ns, label) in schedule::moves(schedule) {
        moves.entry(cpu).or_default().push((at_ns, label));
    }
    for cpu in 0..record.machine.topology.cpus().min(Topology::MAX_CPUS) {
        let track = builder.track(Some(top), &format!("CPU {cpu}"));
        builder.slices(track, "run", &by_cpu.remove(&cpu).unwrap_or_default(), |run| {
            let label = Label::new(schedule::name(run.task)).with("pid", run.task.pid);
            if run.task.cgroup.is_empty() { label } else { label.with("cgroup", &run.task.cgroup) }
        });
        let Some(moves) = moves.remove(&cpu) else { continue };
        let track = builder.track(Some(top), &format!("CPU {cpu}: tasks that come"));
        moves.into_iter().for_each(|(at_ns, label)| builder.instant(track, at_ns, "move", label));
    }
}

/// Each task that ran in a cgroup other than the root.
fn cgroups_as_scheduled(builder: &mut Builder, reports: &[WorkerReport], runs: &[Slice<Run<'_>>]) {
    let top = builder.track(None, "Cgroups");
    // The kernel's name of a cgroup is the last part of the one that a test gives it.
    let named = |task: &Task| {
        let is_its = |report: &&WorkerReport| report.cgroup.rsplit('/').next() == Some(&task.cgroup);
        reports.iter().find(is_its).map_or_else(|| task.cgroup.clone(), |report| report.cgroup.clone())
    };
    let mut tasks: BTreeMap<(String, u32), Vec<Slice<Run<'_>>>> = BTreeMap::new();
    for run in runs.iter().filter(|run| !run.what.task.cgroup.is_empty()) {
        tasks.entry((named(run.what.task), run.what.task.pid)).or_default().push(*run);
    }
    let mut tracks: BTreeMap<String, Track> = BTreeMap::new();
    for ((cgroup, pid), runs) in tasks {
        let parent = *tracks.entry(cgroup.clone()).or_insert_with(|| builder.track(Some(top), &cgroup));
        let work = reports
            .iter()
            .find(|report| u32::try_from(report.pid) == Ok(pid))
            .map(|report| format!("{} {}", report.work, report.index));
        let name = work.or_else(|| runs.first().map(|run| run.what.task.comm.clone())).unwrap_or_default();
        let track = builder.track(Some(parent), &format!("{name} (pid {pid})"));
        builder.slices(track, "run", &runs, |run| Label::new(format!("CPU {}", run.cpu)));
    }
}

fn cpus(builder: &mut Builder, record: &Record, reports: &[WorkerReport]) {
    let top = builder.track(None, "CPUs");
    let mut by_cpu: BTreeMap<u32, Vec<Slice<usize>>> = BTreeMap::new();
    (0..record.machine.topology.cpus().min(Topology::MAX_CPUS)).for_each(|cpu| _ = by_cpu.insert(cpu, Vec::new()));
    for (number, report) in reports.iter().enumerate() {
        for run in &report.runs {
            by_cpu.entry(run.cpu).or_default().push(Slice::new(run.from_ns, run.length_ns, number));
        }
    }
    for (cpu, slices) in by_cpu {
        let track = builder.track(Some(top), &format!("CPU {cpu}"));
        builder.slices(track, "run", &flatten(slices), |number| {
            let report = &reports[*number];
            Label::new(who(report)).with("work", &report.work).with("pid", report.pid)
        });
    }
}

fn cgroups(builder: &mut Builder, reports: &[WorkerReport]) {
    let top = builder.track(None, "Cgroups");
    let mut tracks: BTreeMap<&str, Track> = BTreeMap::new();
    for report in reports {
        let name = if report.cgroup.is_empty() { "(no cgroup)" } else { &report.cgroup };
        let cgroup = *tracks.entry(name).or_insert_with(|| builder.track(Some(top), name));
        let worker = builder.track(Some(cgroup), &format!("{} {} (pid {})", report.work, report.index, report.pid));
        let runs = report.runs.iter().map(|run| Slice::new(run.from_ns, run.length_ns, run.cpu));
        builder.slices(worker, "run", &flatten(runs.collect()), |cpu| Label::new(format!("CPU {cpu}")));
    }
}

/// The longest gap of each worker.
fn gaps(builder: &mut Builder, reports: &[WorkerReport]) {
    let gap = |report: &WorkerReport| report.longest_gap;
    let all = reports.iter().filter(|report| gap(report).length_ns > 0);
    let slices = all.map(|report| Slice::new(gap(report).from_ns, gap(report).length_ns, report));
    for row in rows(slices.collect()) {
        let track = builder.track(None, "Longest gaps");
        builder.slices(track, "gap", &row, |report| {
            Label::new(format!("{} did not run", who(report)))
                .with("for", units::duration(gap(report).length_ns as f64))
                .with("last on CPU", gap(report).cpu)
        });
    }
}

fn findings<'a>(builder: &mut Builder, verdict: &'a Verdict) {
    let Verdict::Fail { findings } = verdict else { return };
    let slice =
        |finding: &'a Finding| finding.window.map(|window| Slice::new(window.from_ns, window.length_ns, finding));
    for row in rows(findings.iter().filter_map(slice).collect()) {
        let track = builder.track(None, "Findings");
        builder.slices(track, "finding", &row, |finding| {
            Label::new(&finding.asserted)
                .with("measured", &finding.measured)
                .with("evidence", finding.evidence.join("\n"))
        });
    }
}
