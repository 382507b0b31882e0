//! What the kernel's scheduler did, as stop points tell it, is what workers and the kernel tell of themselves.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use ktstr::SchedulePart;
use ktstr::prelude::*;
use ktstr_monitor::schedule::{Latency, Schedule, What};
use std::time::Duration;
use support::Specimen;

#[ktstr_test(cores = 2, duration_s = 1.0, max_spread_pct = 100)]
#[ignore = "a specimen: run by what_is_seen_is_what_workers_tell"]
fn timers_beside_spinners(ctx: &Ctx) -> Result<AssertResult> {
    let timer = WorkType::TimerPeriodic { period: Duration::from_millis(5), work: Duration::from_micros(200) };
    execute_defs(
        ctx,
        vec![
            CgroupDef::named("timers").workers(2).work_type(timer),
            CgroupDef::named("spinners").workers(2).work_type(WorkType::CpuSpin),
        ],
    )
}

/// The longest that a vCPU may have given its turn away: as long as the other one's lasts.
const TURN_NS: u64 = 500_000;

/// Where and how a task ran while it kept books.
#[derive(Debug, Default)]
struct Seen {
    ran_ns: u64,
    slept: Switches,
    preempted: Switches,
}

/// How often it was switched away from: while it kept books, and ever.
#[derive(Debug, Default)]
struct Switches {
    within: u64,
    ever: u64,
}

fn seen(schedule: &Schedule, report: &WorkerReport) -> Seen {
    let (from_ns, to_ns) = (report.from_ns, report.from_ns + report.wall_time_ns);
    let is_it = |number: u32| schedule.tasks[number as usize].pid == u32::try_from(report.pid).unwrap();
    let (mut seen, mut since_ns) = (Seen::default(), None);
    for event in &schedule.events {
        let What::Switch { from, state, to } = event.what else { continue };
        if is_it(to) {
            since_ns = Some(event.at_ns);
        } else if is_it(from)
            && let Some(since_ns) = since_ns.take()
        {
            seen.ran_ns += event.at_ns.min(to_ns).saturating_sub(since_ns.max(from_ns));
            let switches = if state == 0 { &mut seen.preempted } else { &mut seen.slept };
            switches.ever += 1;
            switches.within += u64::from((from_ns..to_ns).contains(&event.at_ns));
        }
    }
    seen
}

#[test]
fn what_is_seen_is_what_workers_tell() {
    let mut specimen = Specimen::new("timers_beside_spinners").env("KTSTR_ACCEL", "tcg").env("KTSTR_TRACE", "1");
    let child = specimen.spawn();
    let outcome = specimen.collect(child);
    outcome.expect("Pass", &[]);
    let Some(SchedulePart { file: Some(name), without: None }) = &outcome.record.host.schedule else {
        panic!("{:?}", outcome.record.host.schedule)
    };
    let schedule: Schedule =
        serde_json::from_slice(&std::fs::read(specimen.records_dir().join(name)).unwrap()).unwrap();
    assert!(schedule.events.is_sorted_by_key(|event| event.at_ns) && schedule.lost == 0);
    assert!(schedule.events.iter().all(|event| event.cpu < 2));
    let reports = outcome.record.guest.result.as_ref().unwrap().reports.clone();
    assert_eq!(reports.len(), 4);
    let (mut all_seen_ns, mut all_told_ns, mut all_switches) = (0, 0, 0);
    for report in &reports {
        let seen = seen(&schedule, report);
        let switches = seen.slept.within + seen.preempted.within;
        // The kernel's books of a task end before it is switched from. A vCPU that programs a timer in between gives its turn
        // away, and the books of the next task begin with what passes until the switch.
        let near_ns = 1_000_000 + switches * TURN_NS;
        assert!(seen.ran_ns.abs_diff(report.cpu_time_ns) < near_ns, "{seen:?}, told {} ns", report.cpu_time_ns);
        all_seen_ns += seen.ran_ns;
        all_told_ns += report.cpu_time_ns;
        all_switches += switches;
        for (seen, told) in [(seen.slept, report.voluntary_switches), (seen.preempted, report.involuntary_switches)] {
            // It asks the kernel a little before and after it keeps books; what it waits for meanwhile is told, too.
            let is_between = (seen.within..=seen.ever).contains(&told.unwrap());
            assert!(is_between, "seen {seen:?}, told {told:?} of pid {}", report.pid);
        }
    }
    // Together they lose only what kernel threads and idle CPUs get so: up to 6 us a switch over 16 seeds.
    let near_ns = 1_000_000 + all_switches * 20_000;
    assert!(all_seen_ns.abs_diff(all_told_ns) < near_ns, "seen {all_seen_ns} ns, told {all_told_ns} ns");
    for report in reports.iter().filter(|report| report.cgroup == "timers") {
        let pid = u32::try_from(report.pid).unwrap();
        let of_worker = |latency: &&Latency| latency.pid == pid && latency.cgroup == "timers";
        let latency = outcome.record.guest.latencies.iter().find(of_worker).unwrap();
        assert!(latency.wakeups * 10 >= report.iterations * 9, "{latency:?} {report:?}");
        assert!(0 < latency.p50_ns && latency.p50_ns <= latency.p99_ns && latency.p99_ns <= latency.max_ns);
        // From timer to work is longer than from waking to running, and not by much.
        let told = report.wake_latency.quantile_ns(0.5).unwrap();
        assert!(latency.p50_ns <= told && told - latency.p50_ns < 2_000_000, "{latency:?}, told {told} ns");
    }
}

#[test]
fn what_cannot_be_seen_is_told() {
    let specimen = Specimen::new("timers_beside_spinners").env("KTSTR_ACCEL", "tcg");
    assert_eq!(specimen.run().record.host.schedule, None);
}
