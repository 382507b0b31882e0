//! What the tests of the checks share.

use super::found::Found;
use super::result::PhaseReports;
use crate::facts::CgroupFacts;
use ktstr_wire::CpuSet;
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

pub(super) fn cpus(text: &str) -> CpuSet {
    if text.is_empty() { CpuSet::default() } else { text.parse().unwrap() }
}

/// A cgroup that had these CPUs and was not changed.
pub(super) fn cgroup(name: &str, cpuset: &str) -> CgroupFacts {
    CgroupFacts {
        cgroup: name.to_owned(),
        cpuset: cpus(cpuset),
        allowed: cpus(cpuset),
        weight: 100,
        steady: true,
        ..CgroupFacts::default()
    }
}

/// A phase of 2 s.
pub(super) fn phase(
    cgroups: impl IntoIterator<Item = CgroupFacts>,
    reports: impl IntoIterator<Item = WorkerReport>,
) -> PhaseReports {
    PhaseReports {
        phase: "hold".to_owned(),
        from_ns: 1_000_000_000,
        length_ns: 2_000_000_000,
        reports: reports.into_iter().collect(),
        cgroups: cgroups.into_iter().collect(),
        cpus: Vec::new(),
        own: Vec::new(),
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
