//! Workers that talk to each other, in a guest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ktstr::prelude::*;

/// How long each kind works.
const SPAN: Duration = Duration::from_millis(300);

/// Whether the worker of this number measures wake latencies.
type Measures = fn(usize) -> bool;

fn kinds() -> [(WorkType, Measures); 10] {
    let all: Measures = |_| true;
    [
        (WorkType::PipeIo, all),
        (WorkType::CachePipe { bytes: 64 << 10 }, all),
        (WorkType::FutexPingPong, all),
        (WorkType::FutexFanOut { fan_out: 3 }, all),
        (WorkType::ThunderingHerd, all),
        (WorkType::LockConvoy, all),
        (WorkType::PriorityInversion, all),
        (WorkType::SchbenchLike { message_threads: 2, worker_threads: 3 }, all),
        (WorkType::HackbenchLike { groups: 1, fds: 3, channel: Channel::Sockets }, |worker| worker >= 3),
        (WorkType::HackbenchLike { groups: 2, fds: 1, channel: Channel::Pipes }, |worker| worker % 2 == 1),
    ]
}

/// Every worker goes round, those that wait know how long it took them to run again, and all stop.
#[ktstr_test(cores = 2, duration_s = 8, gauntlet = false)]
fn teams_go_round(ctx: &Ctx) -> Result<AssertResult> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    group.create("teams")?;
    for (work_type, measures) in kinds() {
        for work in [Work::new(work_type.clone()), Work::new(work_type.clone()).threads()] {
            let reports = run(ctx, &work, SPAN)?;
            for (number, report) in reports.iter().enumerate() {
                let what = format!("{work:?}, worker {number}");
                ensure!(report.stopped_in_time && report.iterations > 0, "{what} did {} rounds", report.iterations);
                ensure!(!measures(number) || !report.wake_latency.is_empty(), "{what} measured nothing");
            }
        }
    }
    Ok(AssertResult::default())
}

fn run(ctx: &Ctx, work: &Work, span: Duration) -> Result<Vec<WorkerReport>> {
    let config = WorkloadConfig::new("teams", work.count(4), work.clone(), ctx.seed());
    let mut workload = WorkloadHandle::spawn(ctx.cgroups(), &[config])?;
    workload.start();
    std::thread::sleep(span);
    Ok(workload.stop_and_collect()?)
}

/// The one of low priority that has the lock runs in place of the medium one, so the high one waits for what is done with
/// the lock and not for what the medium one does.
#[ktstr_test(cores = 2, gauntlet = false)]
fn inherited_priority_bounds_the_wait(ctx: &Ctx) -> Result<AssertResult> {
    let mut group = CgroupGroup::new(ctx.cgroups());
    group.create("teams")?;
    let reports = run(ctx, &Work::new(WorkType::PriorityInversion), ctx.duration())?;
    let (medium, high) = (&reports[1], &reports[2].wake_latency);
    ensure!(high.len() >= 5, "the high one asked {} times for the lock", high.len());
    // The medium one does 8 units at a time, and the low one 2 with the lock.
    let unit_ns = medium.cpu_time_ns / medium.work_units.max(1);
    ensure!(high.max_ns() < Some(6 * unit_ns), "it waited {:?} ns, a unit takes {unit_ns} ns", high.max_ns());
    Ok(AssertResult::default())
}

#[ktstr_test(cores = 4, max_gap_ms = 1000, gauntlet = false)]
fn cpus_come_and_go(ctx: &Ctx) -> Result<AssertResult> {
    let ms = Duration::from_millis;
    let hotplug = Work::new(WorkType::CpuHotplug { offline: ms(20), online: ms(20) }).workers(1);
    let result = execute_defs(ctx, vec![CgroupDef::named("cg_0").workers(4), CgroupDef::named("plug").work(hotplug)])?;
    let toggles = result.reports.iter().find(|report| report.work == "cpu_hotplug").context("no report")?;
    ensure!(toggles.iterations > 5, "{} toggles", toggles.iterations);
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online")?;
    ensure!(online.trim() == "0-3", "online are {online}");
    Ok(result)
}
