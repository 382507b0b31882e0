//! Traces read back by a reader of the wire format that knows nothing of our messages: field numbers are those of Perfetto's
//! own definitions.

use super::tracks;
use crate::runs::tests::record;
use ktstr::{AssertResult, Finding, Record, Stimulus, StimulusKind, Verdict, Window};
use ktstr_monitor::schedule::{Event, Schedule, Task, What};
use ktstr_workload::{Gap, RunSegment, WorkerReport};
use std::collections::BTreeMap;

/// A field's value (protobuf.dev, "Encoding").
#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number without end");
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            other => panic!("wire type {other} is not used in these messages"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn number(message: &[u8], field: u64) -> Option<u64> {
    fields(message).into_iter().find_map(|(key, value)| match value {
        Value::Number(number) if key == field => Some(number),
        _ => None,
    })
}

fn bytes(message: &[u8], field: u64) -> Option<&[u8]> {
    fields(message).into_iter().find_map(|(key, value)| match value {
        Value::Bytes(bytes) if key == field => Some(bytes),
        _ => None,
    })
}

fn text(message: &[u8], field: u64) -> Option<String> {
    bytes(message, field).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

/// A track's path, and its slices and instants with beginning, end and name.
type Tracks = BTreeMap<String, Vec<(u64, u64, String)>>;

fn read(trace: &[u8]) -> Tracks {
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut tracks = Tracks::new();
    let mut open: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    for (index, (field, packet)) in fields(trace).into_iter().enumerate() {
        let Value::Bytes(packet) = packet else { panic!("{packet:?} is no packet") };
        assert_eq!((field, number(packet, 10)), (1, Some(1)), "all packets are of one sequence");
        assert_eq!(number(packet, 13), (index == 0).then_some(1));
        if let Some(descriptor) = bytes(packet, 60) {
            let parent = number(descriptor, 5).map_or_else(String::new, |parent| format!("{} / ", names[&parent]));
            let path = parent + &text(descriptor, 2).unwrap();
            tracks.entry(path.clone()).or_default();
            assert_eq!(names.insert(number(descriptor, 1).unwrap(), path), None);
            continue;
        }
        let (at_ns, event) = (number(packet, 8).unwrap(), bytes(packet, 11).unwrap());
        let track = number(event, 11).unwrap();
        let name = text(event, 23);
        let slices = tracks.get_mut(&names[&track]).unwrap();
        match number(event, 9) {
            Some(1) => assert_eq!(open.insert(track, (at_ns, name.unwrap())), None, "slices overlap"),
            Some(2) => {
                let (from_ns, name) = open.remove(&track).unwrap();
                assert!(from_ns <= at_ns);
                slices.push((from_ns, at_ns, name));
            }
            Some(3) => slices.push((at_ns, at_ns, name.unwrap())),
            other => panic!("{other:?} is no event"),
        }
    }
    assert!(open.is_empty(), "{open:?} have no end");
    tracks
}

fn worker(cgroup: &str, index: u32, runs: &[(u32, u64, u64)]) -> WorkerReport {
    WorkerReport {
        cgroup: cgroup.to_owned(),
        work: "cpu_spin".to_owned(),
        index,
        pid: 90 + index as i32,
        from_ns: 1000,
        wall_time_ns: 9000,
        runs: runs.iter().copied().map(RunSegment::from).collect(),
        longest_gap: Gap { length_ns: 500, from_ns: 2000, cpu: 1 },
        ..WorkerReport::default()
    }
}

fn eventful() -> Record {
    let window = Window { cpu: Some(1), from_ns: 2000, length_ns: 500, tolerable_ns: 100 };
    let findings = vec![Finding::new("max_gap_ms", "too long").within(window), Finding::new("console", "oops")];
    let mut record = record("steady", Verdict::Fail { findings });
    let stimulus = |at_ns, kind, text: &str| Stimulus { at_ns, took_ns: 10, kind, text: text.to_owned(), error: None };
    record.guest.stimuli = vec![
        stimulus(1000, StimulusKind::Phase, "first"),
        stimulus(3000, StimulusKind::Op, "SetCpuset cg_0 1"),
        stimulus(4000, StimulusKind::Phase, "second"),
        stimulus(5000, StimulusKind::Note, "ünïcode \u{1f980}"),
    ];
    let reports = vec![
        // The second one ran on CPU 0 while the first one believed that it did.
        worker("cg_0", 0, &[(0, 1000, 4000), (1, 6000, 1000)]),
        worker("cg_0", 1, &[(0, 2000, 1000)]),
        worker("", 0, &[(1, 1000, 500)]),
    ];
    record.guest.result = Some(AssertResult { reports, ..AssertResult::default() });
    record
}

#[test]
fn every_track_has_its_slices() {
    let tracks = read(&tracks::of(&eventful(), None));
    let counts: Vec<(&str, usize)> = tracks.iter().map(|(name, slices)| (name.as_str(), slices.len())).collect();
    assert_eq!(
        counts,
        [
            ("CPUs", 0),
            ("CPUs / CPU 0", 3),
            ("CPUs / CPU 1", 2),
            ("Cgroups", 0),
            ("Cgroups / (no cgroup)", 0),
            ("Cgroups / (no cgroup) / cpu_spin 0 (pid 90)", 1),
            ("Cgroups / cg_0", 0),
            ("Cgroups / cg_0 / cpu_spin 0 (pid 90)", 2),
            ("Cgroups / cg_0 / cpu_spin 1 (pid 91)", 1),
            ("Findings", 1),
            ("Longest gaps", 3),
            ("Scenario", 1),
            ("Scenario / phases", 2),
            ("Scenario / what was done", 2),
        ]
    );
    let on_cpu_0 = [(1000, 2000, "cg_0/0"), (2000, 3000, "cg_0/1"), (3000, 5000, "cg_0/0")];
    assert_eq!(tracks["CPUs / CPU 0"], on_cpu_0.map(|(from, to, name)| (from, to, name.to_owned())));
    assert_eq!(tracks["Scenario / phases"][1], (4000, 10_000, "second".to_owned()));
    assert_eq!(tracks["Scenario / what was done"][1].2, "ünïcode \u{1f980}");
    assert_eq!(tracks["Scenario"], [(1000, 10_000, "steady".to_owned())]);
}

#[test]
fn what_the_scheduler_did_goes_before_what_workers_tell() {
    let task = |pid, comm: &str, cgroup: &str| Task { pid, comm: comm.into(), cgroup_id: 1, cgroup: cgroup.into() };
    let event = |at_ns, cpu, what| Event { at_ns, cpu, what };
    let switch = |from, to| What::Switch { from, state: 0, to };
    let schedule = Schedule {
        tasks: vec![
            task(0, "swapper/0", ""),
            task(90, "worker", "cg_0"),
            task(5, "kworker", ""),
            task(7, "other", "x"),
        ],
        events: vec![
            event(1500, 0, switch(2, 1)),
            event(2000, 1, What::Wakeup { task: 3, waking_ns: 1990, on: 0 }),
            event(2500, 0, switch(1, 3)),
            event(2600, 1, What::Migrate { task: 1, from: 0, to: 1 }),
            event(2700, 1, switch(0, 1)),
            event(3000, 0, switch(3, 0)),
            event(4000, 1, switch(1, 0)),
        ],
        lost: 0,
    };
    let mut record = eventful();
    record.guest.started_ns = Some(1000);
    let tracks = read(&tracks::of(&record, Some(&schedule)));
    let check = |track: &str, expected: &[(u64, u64, &str)]| {
        let expected: Vec<_> = expected.iter().map(|(from, to, name)| (*from, *to, (*name).to_owned())).collect();
        assert_eq!(tracks[track], expected, "{track}");
    };
    check("CPUs / CPU 0", &[(1000, 1500, "kworker 5"), (1500, 2500, "worker 90"), (2500, 3000, "other 7")]);
    check("CPUs / CPU 1", &[(2700, 4000, "worker 90")]);
    check("CPUs / CPU 0: tasks that come", &[(2000, 2000, "wakeup of other 7")]);
    check("CPUs / CPU 1: tasks that come", &[(2600, 2600, "worker 90 comes from CPU 0")]);
    check("Cgroups / cg_0 / cpu_spin 0 (pid 90)", &[(1500, 2500, "CPU 0"), (2700, 4000, "CPU 1")]);
    check("Cgroups / x / other (pid 7)", &[(2500, 3000, "CPU 0")]);
}

#[test]
fn a_record_without_reports_is_a_trace_too() {
    let inconclusive = Verdict::Inconclusive { reason: "no kernel".into() };
    let tracks = read(&tracks::of(&record("a", inconclusive), None));
    assert_eq!(tracks["Scenario"].len(), 1);
    assert_eq!(tracks["CPUs / CPU 1"].len(), 0);
}
