//! The report in a real browser: it opens without a script's error, shows verdicts and a timeline, stays usable with a
//! thousand records, and takes nothing that a record says for markup.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use ktstr::{AssertResult, Finding, Record, Stimulus, StimulusKind, Verdict, Window};
use ktstr_workload::{Gap, LatencyHistogram, RunSegment, WorkerReport};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const HOSTILE: &str = "</script></details><script>document.documentElement.dataset.owned='1'</script>\
                       <img src=x onerror=\"document.documentElement.dataset.owned='2'\"><!-- & \u{1b}[0m";
const BEGIN_NS: u64 = 3_000_000_000;
const MS: u64 = 1_000_000;

/// One with four CPUs, and the command that makes it again.
fn record(test: &str, verdict: Verdict) -> Record {
    let mut record = support::record(test, verdict);
    record.machine.topology.llcs = 2;
    record.host.again = format!("cargo test -- --exact {test}");
    record
}

/// A worker that ran for 3 ms every 10 ms and moved to the next CPU each time, but for half a second.
fn worker(cgroup: &str, index: u32) -> WorkerReport {
    let slots = (0..200).filter(|slot| index > 0 || !(80..130).contains(slot));
    let run = |slot: u64| {
        let cpu = (slot as u32 + index) % 4;
        RunSegment { cpu, from_ns: BEGIN_NS + (slot * 10 + u64::from(index) * 3) * MS, length_ns: 3 * MS }
    };
    let mut wake_latency = LatencyHistogram::default();
    (0..500_u64).for_each(|number| wake_latency.record(2000 + number * number * 40, 1));
    let longest_gap = Gap { length_ns: if index == 0 { 507 } else { 7 } * MS, from_ns: BEGIN_NS + 793 * MS, cpu: 3 };
    WorkerReport {
        cgroup: cgroup.to_owned(),
        work: "bursty".to_owned(),
        index,
        pid: 100 + index as i32,
        from_ns: BEGIN_NS,
        wall_time_ns: 2000 * MS,
        cpu_time_ns: 600 * MS,
        work_units: 500,
        iterations: 200,
        runs: slots.map(run).collect(),
        wake_latency,
        longest_gap,
        stopped_in_time: true,
        ..WorkerReport::default()
    }
}

/// A test that failed, with all that a report shows.
fn eventful(test: &str) -> Record {
    let window = Window { cpu: Some(3), from_ns: BEGIN_NS + 793 * MS, length_ns: 507 * MS, tolerable_ns: 0 };
    let finding = Finding::new("max_gap_ms", "worker 0 did not run for 0.507 s").within(window);
    let mut record = record(test, Verdict::Fail { findings: vec![finding.with_evidence([HOSTILE.to_owned()])] });
    let stimulus = |at_ms: u64, kind, text: &str| Stimulus {
        at_ns: BEGIN_NS + at_ms * MS,
        took_ns: MS,
        kind,
        text: text.to_owned(),
        error: None,
    };
    record.guest.stimuli = vec![
        stimulus(0, StimulusKind::Phase, "settle"),
        stimulus(790, StimulusKind::Op, "SetCpuset cg_0 3"),
        stimulus(1000, StimulusKind::Phase, HOSTILE),
        stimulus(1500, StimulusKind::Note, HOSTILE),
    ];
    let reports = vec![worker("cg_0", 0), worker("cg_0", 1), worker("cg_1", 2), worker(HOSTILE, 3)];
    record.guest.result = Some(AssertResult { reports, ..AssertResult::default() });
    record.guest.console = format!("[    1.0] {HOSTILE}\n").repeat(100);
    record
}

fn report(run: &Path) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_ktstr");
    let output = Command::new(program).arg("report").arg(run).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// What has become of the page once its script has run.
fn opened(page: &Path, part: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let url = format!("file://{}#{part}", page.display());
    let words = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                 --disable-component-update --disable-sync --disable-dev-shm-usage --dump-dom";
    let output = Command::new("chromium")
        .args(words.split_ascii_whitespace())
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .output()
        .expect("this test needs chromium: run `cargo xtask setup browser`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn opens_in_a_browser_without_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path();
    for number in 0..1000 {
        let mut record = record(&format!("steady_{}", number % 50), Verdict::Pass);
        record.preset = Some(format!("machine-{}", number % 4));
        record.replica = number;
        record.guest.console = "[    1.0] nothing of note\n".repeat(20);
        record.write(run).unwrap();
    }
    eventful("starves").write(run).unwrap();
    record("no_kernel", Verdict::Inconclusive { reason: HOSTILE.into() }).write(run).unwrap();
    fs::write(run.join("torn.json"), "{").unwrap();
    let mut named = record("hostile", Verdict::Skip { reason: HOSTILE.into() });
    named.test = HOSTILE.to_owned();
    fs::write(run.join("hostile.json"), serde_json::to_vec(&named).unwrap()).unwrap();

    let page = report(run);
    let dom = opened(&page, "");
    let root = &dom[..dom.find("<head").unwrap()];
    assert!(root.contains("data-ready=\"1003\""), "{root}");
    assert!(!root.contains("data-error") && !root.contains("data-owned"), "{root}");
    assert_eq!(dom.matches("<th class=\"name\"").count(), 53);
    assert_eq!(dom.matches("class=\"mark ").count(), 1003);
    assert!(dom.contains("torn") && dom.contains("EOF while parsing"));
    // The first failure is open, with a lane for each CPU, where each cgroup ran, and what was starved; the rest is closed.
    assert_eq!(dom.matches("<div class=\"timeline\">").count(), 1);
    assert_eq!(dom.matches("<rect class=\"lane\"").count(), 4);
    assert_eq!(dom.matches("<path class=\"run ").count(), 12);
    assert_eq!(dom.matches("<rect class=\"blame\"").count(), 1);
    assert_eq!(dom.matches("<rect class=\"gap\"").count(), 1);
    assert_eq!(dom.matches("<figure>").count(), 3);
    assert!(dom.contains("SetCpuset cg_0 3") && dom.contains("cargo test -- --exact starves"));

    let bytes = fs::metadata(&page).unwrap().len();
    assert!(bytes < 8_000_000, "a thousand small records make {bytes} bytes");
}
