//! What the tests of the checks share.

use super::found::Found;
use ktstr_workload::WorkerReport;

/// A worker that was there for 2 s, and ran half of that.
pub(super) fn worker(cgroup: &str, index: u32) -> WorkerReport {
    WorkerReport {
        cgroup: cgroup.to_owned(),
        work: "cpu_spin".to_owned(),
        index,
        pid: 42 + index as i32,
        from_ns: 1_000_000_000,
        work_units: 1000,
        iterations: 1000,
        cpu_time_ns: 1_000_000_000,
        wall_time_ns: 2_000_000_000,
        run_delay_ns: Some(1_000_000_000),
        stopped_in_time: true,
        ..WorkerReport::default()
    }
}

/// The findings contain these texts, and the doubts those that begin with a question mark and a space.
pub(super) fn expect(found: Found, expected: &[&str]) {
    let findings = found.findings.iter().map(ToString::to_string);
    let texts: Vec<String> = findings.chain(found.doubts.iter().map(|doubt| format!("? {doubt}"))).collect();
    assert_eq!(texts.len(), expected.len(), "{texts:?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert_eq!(text.starts_with("? "), expected.starts_with("? "), "{text}");
        assert!(text.contains(expected.trim_start_matches("? ")), "{text}");
    }
}
