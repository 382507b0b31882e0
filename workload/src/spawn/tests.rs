//! Real workers on the machine that builds.

use super::*;
use crate::def::Work;
use crate::work_type::{Phase, WorkType};
use std::io::BufRead;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;

const SHORT: Duration = Duration::from_millis(30);

/// How late a worker on a loaded machine may see that its books are closed.
const CLOSING_NS: u64 = 1_000_000_000;

fn started(works: &[Work]) -> WorkloadHandle {
    let configs: Vec<_> = works.iter().map(|work| WorkloadConfig::outside(work.count(2), work.clone(), 1)).collect();
    let mut workload = WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &configs).unwrap();
    workload.start();
    workload
}

/// Processes and threads.
fn both() -> [Work; 2] {
    [Work::default(), Work::default().threads()]
}

fn is_there(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: no pointers.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// Waits until every worker has done more work.
fn await_work(workload: &WorkloadHandle) {
    for slot in &*workload.slots {
        let before = slot.work_units.load(Acquire);
        while slot.work_units.load(Acquire) < before + 3 {
            sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn books_agree_with_each_other() {
    let workload = started(&both());
    await_work(&workload);
    sleep(SHORT * 3);
    let pids = workload.pids();
    let reports = workload.stop_and_collect().unwrap();
    assert_eq!(reports.iter().map(|report| report.pid).collect::<Vec<_>>(), pids);
    assert_eq!(reports.iter().map(|report| report.index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    for report in reports {
        assert!(report.work_units >= report.iterations && report.iterations > 0);
        assert!(report.cpu_time_ns > 0 && report.cpu_time_ns <= report.wall_time_ns + CLOSING_NS);
        assert!(report.longest_gap.length_ns > 0 && report.longest_gap.length_ns <= report.wall_time_ns);
        assert!(report.cpus_visited.contains(report.longest_gap.cpu));
        assert!(report.cpus_visited.len() as u64 <= report.migrations + 1);
        assert!(report.progress.iterations.iter().map(|count| u64::from(*count)).sum::<u64>() <= report.iterations);
        assert_eq!(report.progress.iterations.len() as u64, report.wall_time_ns / report.progress.stretch_ns);
        assert!(report.runs.windows(2).all(|pair| pair[0].from_ns + pair[0].length_ns <= pair[1].from_ns));
        assert!(report.runs.iter().all(|run| report.cpus_visited.contains(run.cpu)));
        assert!(report.wake_latency.is_empty() && report.involuntary_switches.is_some());
    }
}

#[test]
fn phases_add_up() {
    let mut workload = started(&both());
    let mut phases = Vec::new();
    for _ in 0..20 {
        await_work(&workload);
        phases.push(workload.snapshot().unwrap());
    }
    let whole = workload.stop_and_collect().unwrap();
    for (at, whole) in whole.iter().enumerate() {
        let each = || phases.iter().map(|reports| &reports[at]);
        assert!(each().all(|report| report.work_units >= 3 && !report.cpus_visited.is_empty()));
        assert!(each().all(|report| report.cpus_visited.is_subset(&whole.cpus_visited)));
        assert!(each().map(|report| report.work_units).sum::<u64>() <= whole.work_units);
        assert!(each().map(|report| report.migrations).sum::<u64>() <= whole.migrations);
        assert!(each().all(|report| report.longest_gap.length_ns <= whole.longest_gap.length_ns));
        assert!(each().all(|report| report.longest_gap.from_ns >= report.from_ns && report.longest_gap.length_ns > 0));
        assert!(each().zip(each().skip(1)).all(|(a, b)| a.from_ns + a.wall_time_ns == b.from_ns));
        assert_eq!(whole.from_ns, phases[0][at].from_ns);
        assert!(whole.cpus_visited.len() as u64 <= whole.migrations + 1);
    }
}

#[test]
fn a_worker_that_stands_still_has_the_gap_in_each_phase() {
    let mut workload = started(&[Work::default()]);
    await_work(&workload);
    let pid = workload.pids()[0];
    signal(pid, libc::SIGSTOP);
    let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    while !state().contains(") T ") {
        sleep(Duration::from_millis(1));
    }
    workload.snapshot().unwrap();
    sleep(SHORT);
    let still = workload.snapshot().unwrap().remove(0);
    assert_eq!((still.longest_gap.from_ns, still.longest_gap.length_ns), (still.from_ns, still.wall_time_ns));
    assert_eq!((still.work_units, still.cpus_visited.len()), (0, 0));
    signal(pid, libc::SIGCONT);
    await_work(&workload);
    let woken = workload.snapshot().unwrap().remove(0);
    assert!(woken.work_units > 0 && !woken.cpus_visited.is_empty());
    assert!(woken.longest_gap.from_ns >= woken.from_ns);
    let whole = workload.stop_and_collect().unwrap().remove(0);
    assert!(whole.longest_gap.length_ns >= still.wall_time_ns);
    assert!(whole.longest_gap.from_ns <= still.from_ns);
}

#[test]
fn a_worker_that_never_ran_has_one_gap() {
    let config = WorkloadConfig::outside(2, Work::default(), 1);
    let mut workload = WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &[config]).unwrap();
    signal(workload.pids()[1], libc::SIGSTOP);
    workload.start();
    sleep(SHORT);
    let report = workload.stop_and_collect().unwrap().remove(1);
    assert!(!report.stopped_in_time);
    assert_eq!((report.work_units, report.iterations, report.runs.len()), (0, 0, 0));
    assert_eq!((report.longest_gap.from_ns, report.longest_gap.length_ns), (report.from_ns, report.wall_time_ns));
    assert!(report.progress.iterations.iter().all(|count| *count == 0));
}

#[test]
fn a_worker_that_dies_is_an_error() {
    for work in both() {
        let mut workload = started(&[work]);
        let pid = workload.processes[0].pid;
        signal(pid, libc::SIGKILL);
        let error = loop {
            match workload.snapshot() {
                Ok(_) => sleep(Duration::from_millis(1)),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("of no cgroup ended before it was told to (signal 9)"), "{error}");
    }
}

#[test]
fn dropping_leaves_nothing_even_on_panic() {
    let workload = started(&both());
    let pids = workload.pids();
    assert!(pids.iter().all(|pid| is_there(*pid)));
    let panicked = std::thread::spawn(move || {
        let _workload = workload;
        std::panic::resume_unwind(Box::new("on purpose, without a message"));
    });
    assert!(panicked.join().is_err());
    assert!(!pids.iter().any(|pid| is_there(*pid)));
}

#[test]
fn workers_end_with_a_parent_that_is_killed() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "spawn::tests::is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.filter_map(|line| Some(line.split_once("pids: ")?.1.to_owned())).next().unwrap();
    let pids: Vec<i32> = line.split(' ').map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 4);
    assert!(pids.iter().all(|pid| is_there(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    while pids.iter().any(|pid| is_alive(*pid)) {
        sleep(Duration::from_millis(1));
    }
}

/// A container's first process may take its time to reap what it inherits.
fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
#[ignore = "run by workers_end_with_a_parent_that_is_killed"]
fn is_killed() {
    let workload = started(&both());
    let pids: Vec<_> = workload.pids().iter().map(ToString::to_string).collect();
    println!("pids: {}", pids.join(" "));
    sleep(Duration::from_secs(60));
}

#[test]
fn what_is_asked_of_a_worker_is_so() {
    let usable = attributes::affinity(0).unwrap();
    let one: CpuSet = usable.iter().take(1).collect();
    for work in both() {
        let work = work.sched_policy(SchedPolicy::Batch).nice(3);
        let config = WorkloadConfig { cpus: vec![one.clone()], ..WorkloadConfig::outside(2, work, 1) };
        let mut workload = WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &[config]).unwrap();
        workload.start();
        let tids = workload.pids();
        assert_eq!(attributes::affinity(tids[0]).unwrap(), one);
        assert_eq!(attributes::affinity(tids[1]).unwrap(), usable);
        assert!(tids.iter().all(|tid| attributes::policy(*tid).unwrap() == (SchedPolicy::Batch, 3)));
        workload.set_policy(1, SchedPolicy::Idle).unwrap();
        workload.set_affinity(1, &one).unwrap();
        assert_eq!(attributes::policy(tids[0]).unwrap(), (SchedPolicy::Batch, 3));
        assert_eq!(attributes::policy(tids[1]).unwrap(), (SchedPolicy::Idle, 3));
        assert_eq!(attributes::affinity(tids[1]).unwrap(), one);
        let error = workload.set_affinity(0, &CpuSet::from_iter([4000])).unwrap_err().to_string();
        assert!(error.starts_with("cannot set the affinity to CPUs 4000 of worker 0 (pid"), "{error}");
        let error = workload.set_policy(0, SchedPolicy::Fifo(0)).unwrap_err().to_string();
        assert!(error.ends_with("of no cgroup: priorities are from 1 to 99"), "{error}");
        let reports = workload.stop_and_collect().unwrap();
        let told = reports.iter().map(|report| (report.policy, report.nice, report.affinity.as_ref()));
        assert!(told.eq([(SchedPolicy::Batch, 3, Some(&one)), (SchedPolicy::Idle, 3, Some(&one))]));
    }
}

#[test]
fn every_work_type_goes_round() {
    // Real-time priorities are for guests.
    for work_type in WorkType::all().into_iter().filter(|work_type| *work_type != WorkType::PriorityInversion) {
        let works = both().map(|work| work.work_type(work_type.clone()));
        let mut workload = started(&works);
        let name = work_type.name();
        while workload.slots.iter().any(|slot| slot.iterations.load(Acquire) < 3) {
            workload.check_alive().unwrap();
            sleep(Duration::from_millis(1));
        }
        let reports = workload.stop_and_collect().unwrap();
        assert!(reports.iter().all(|report| report.work_units > 0), "{name}");
        let sleeps = matches!(work_type, WorkType::Bursty { .. } | WorkType::TimerPeriodic { .. });
        assert!(!sleeps || reports.iter().all(|report| report.wake_latency.len() >= 3), "{name}");
    }
}

#[test]
fn a_thread_of_rt_app_is_scheduled_as_its_phase_says() {
    let text = r#"{ "tasks" : {
        "stays" : { "policy" : "SCHED_IDLE", "phases" : { "a" : { "loop" : -1, "run" : 10 } } },
        "changes" : { "phases" : {
            "a" : { "run" : 10 },
            "b" : { "policy" : "SCHED_BATCH", "priority" : 4, "run" : 10 },
            "c" : { "loop" : -1, "run" : 10 } } } } }"#;
    let workload = started(&[Work::new(WorkType::RtApp(text.parse().unwrap()))]);
    // Until both are in their last phases.
    for (worker, expected) in workload.pids().into_iter().zip([(SchedPolicy::Idle, 0), (SchedPolicy::Batch, 4)]) {
        while attributes::policy(worker).unwrap() != expected {
            sleep(Duration::from_millis(1));
        }
    }
    await_work(&workload);
    let policies = workload.pids().into_iter().map(|worker| attributes::policy(worker).unwrap());
    assert_eq!(policies.collect::<Vec<_>>(), [(SchedPolicy::Idle, 0), (SchedPolicy::Batch, 4)]);
    workload.stop_and_collect().unwrap();
}

#[test]
fn a_sequence_does_each_of_its_parts() {
    let part = Duration::from_millis(5);
    let phases = [
        WorkType::TimerPeriodic { period: part / 2, work: Duration::ZERO },
        WorkType::CachePressure { bytes: 1 << 16 },
    ];
    let sequence = WorkType::Sequence(phases.map(|work_type| Phase::new(work_type, part)).to_vec());
    let workload = started(&[Work::new(sequence)]);
    let latencies = || workload.slots[0].latencies.since(&mut LatencyHistogram::default()).len();
    // It sleeps in one part and does many rounds without in the other, so each comes again.
    for _ in 0..2 {
        let (before, rounds) = (latencies(), workload.slots[0].iterations.load(Acquire));
        while latencies() == before || workload.slots[0].iterations.load(Acquire) < rounds + 20 {
            sleep(Duration::from_millis(1));
        }
    }
    workload.stop_and_collect().unwrap();
}

#[test]
fn work_that_cannot_be_done_is_refused() {
    let config = WorkloadConfig::outside(1, Work::new(WorkType::CachePressure { bytes: 0 }), 1);
    let error = WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &[config]).unwrap_err().to_string();
    assert_eq!(error, "no worker can do CachePressure { bytes: 0 }: it has no memory to touch");
    let config = WorkloadConfig::outside(3, Work::new(WorkType::PipeIo), 1);
    let error = WorkloadHandle::spawn(&CgroupManager::existing("/nowhere"), &[config]).unwrap_err().to_string();
    assert_eq!(error, "no worker can do PipeIo: its workers come in pairs: an odd number of them does not do");
    let mut workload = started(&[Work::new(WorkType::CachePressure { bytes: u64::MAX / 2 })]);
    let error = loop {
        match workload.snapshot() {
            Ok(_) => sleep(Duration::from_millis(1)),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("(cache_pressure: Cannot allocate memory"), "{error}");
}

#[test]
fn a_team_that_waits_for_one_that_does_not_run_stops_all_the_same() {
    for work_type in [WorkType::PipeIo, WorkType::FutexFanOut { fan_out: 3 }, WorkType::LockConvoy] {
        let mut workload = started(&[Work::new(work_type.clone())]);
        await_work(&workload);
        let stopped = workload.pids()[1];
        signal(stopped, libc::SIGSTOP);
        sleep(SHORT);
        let EndedPhase(span) = workload.close().unwrap();
        let accounts = workload.stop();
        // However long a loaded machine lets them wait for a CPU: those that wait for each other would wait for ever.
        while workload.processes.iter().any(|process| process.running && process.pid != stopped) {
            workload.reap_ended();
            workload.nudge();
            sleep(Duration::from_millis(1));
        }
        let reports = workload.collect(span.to_ns, accounts);
        let in_time = |report: &WorkerReport| report.stopped_in_time == (report.pid != stopped);
        assert!(reports.iter().all(in_time), "{work_type:?}");
    }
}
