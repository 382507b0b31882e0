//! Run segments as the strokes of a path for each cgroup and CPU, no finer than can be seen.

use ktstr_workload::{RunSegment, WorkerReport};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Units across a picture.
pub(super) const WIDTH: u64 = 2000;

/// A stretch of guest time, mapped onto the width of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Its beginning.
    pub(super) from_ns: u64,
    /// Its length.
    pub(super) length_ns: u64,
}

impl Span {
    /// The time in which the workers ran.
    pub(super) fn of(reports: &[WorkerReport]) -> Option<Self> {
        let from_ns = reports.iter().map(|report| report.from_ns).min()?;
        let end = |report: &WorkerReport| report.from_ns.saturating_add(report.wall_time_ns);
        let length_ns = reports.iter().map(end).max()?.saturating_sub(from_ns);
        (length_ns > 0).then_some(Self { from_ns, length_ns })
    }

    /// Where a moment is in the picture; what is outside is at its edge.
    pub(super) fn x(&self, at_ns: u64) -> u64 {
        let since = at_ns.saturating_sub(self.from_ns).min(self.length_ns);
        (u128::from(since) * u128::from(WIDTH) / u128::from(self.length_ns)) as u64
    }
}

/// For each CPU and each cgroup (by its number in `cgroups`), the strokes of where its workers ran.
pub(super) fn strokes(
    reports: &[WorkerReport],
    cgroups: &[&str],
    span: Span,
) -> BTreeMap<(u32, usize), Vec<(u64, u64)>> {
    let mut segments: BTreeMap<(u32, usize), Vec<RunSegment>> = BTreeMap::new();
    for report in reports {
        let cgroup = cgroups.iter().position(|name| *name == report.cgroup).unwrap_or(cgroups.len());
        for run in &report.runs {
            segments.entry((run.cpu, cgroup)).or_default().push(*run);
        }
    }
    segments.into_iter().map(|(lane, segments)| (lane, merged(segments, span))).collect()
}

/// Strokes from and to, in order; what lies closer together than a unit is one.
fn merged(mut segments: Vec<RunSegment>, span: Span) -> Vec<(u64, u64)> {
    segments.sort_by_key(|segment| segment.from_ns);
    let mut strokes: Vec<(u64, u64)> = Vec::new();
    for segment in segments {
        let from = span.x(segment.from_ns);
        let to = span.x(segment.from_ns.saturating_add(segment.length_ns)).max(from + 1);
        match strokes.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => strokes.push((from, to)),
        }
    }
    strokes
}

/// The path of strokes at this height.
pub(super) fn path(strokes: &[(u64, u64)], y: f64) -> String {
    let mut path = String::new();
    for (from, to) in strokes {
        // Writing to a string does not fail.
        let _ = write!(path, "M{from} {y}h{}", to - from);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(cgroup: &str, runs: &[(u32, u64, u64)]) -> WorkerReport {
        let runs = runs.iter().copied().map(RunSegment::from).collect();
        WorkerReport { cgroup: cgroup.into(), from_ns: 1000, wall_time_ns: 2000, runs, ..WorkerReport::default() }
    }

    #[test]
    fn strokes_are_where_workers_ran() {
        let reports = [
            worker("a", &[(0, 1000, 500), (0, 1500, 100), (1, 2000, 1000)]),
            worker("b", &[(0, 1600, 1), (0, 2999, 500)]),
        ];
        let span = Span::of(&reports).unwrap();
        assert_eq!(span, Span { from_ns: 1000, length_ns: 2000 });
        let strokes = strokes(&reports, &["a", "b"], span);
        assert_eq!(strokes[&(0, 0)], [(0, 600)]);
        assert_eq!(strokes[&(1, 0)], [(1000, 2000)]);
        // No shorter than can be seen, and not beyond the edge by more than that.
        assert_eq!(strokes[&(0, 1)], [(600, 601), (1999, 2000)]);
        assert_eq!(path(&strokes[&(0, 1)], 5.0), "M600 5h1M1999 5h1");
    }

    #[test]
    fn a_lane_has_no_more_strokes_than_the_picture_has_room_for() {
        let runs: Vec<(u32, u64, u64)> = (0..100_000).map(|number| (0, 1000 + number * 10, 5)).collect();
        let reports = [WorkerReport { wall_time_ns: 1_000_000, ..worker("a", &runs) }];
        let strokes = strokes(&reports, &["a"], Span::of(&reports).unwrap());
        assert!(strokes[&(0, 0)].len() as u64 <= WIDTH / 2 + 1);
    }

    #[test]
    fn no_time_is_no_picture() {
        assert_eq!(Span::of(&[]), None);
        assert_eq!(Span::of(&[WorkerReport::default()]), None);
    }
}
