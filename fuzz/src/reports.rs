//! What a test binary reports.

/// A frame in each line.
pub(crate) fn run(bytes: &[u8]) {
    ktstr::fuzzing::reports(bytes);
}

/// A short run, frame by frame.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let worker = r#"{"cgroup":"a","work":"cpu_spin","index":0,"pid":42,"from_ns":1,"work_units":9,"iterations":9,
        "cpu_time_ns":5,"wall_time_ns":9,"run_delay_ns":2,"wake_latency":[[3,1],[7300000000000,2]],"migrations":1,
        "cpus_visited":"0-1,3","voluntary_switches":null,"involuntary_switches":4,
        "longest_gap":{"length_ns":2,"from_ns":3,"cpu":1},"progress":{"stretch_ns":4,"iterations":[4,5]},
        "runs":[[0,1,2],[1,4,3]],"runs_dropped":0,"stopped_in_time":true}"#;
    let worker = worker.replace('\n', "");
    let frames = [
        r#"{"Stimulus":{"at_ns":1,"took_ns":2,"kind":"op","text":"Freeze a","error":"why"}}"#.to_owned(),
        r#"{"Phase":{"phase":"step 0","from_ns":1,"length_ns":9,"cgroups":[{"cgroup":"a","cpuset":"0-3","allowed":"0-3",
            "weight":100,"max":{"quota_us":1,"period_us":2},"frozen":false,"steady":true,
            "stat":{"usage_us":1,"nr_periods":2,"nr_throttled":3,"throttled_us":4}}],
            "cpus":[{"cpu":0,"online":true,"idle_ms":10}]}}"#
            .replace('\n', ""),
        format!(r#"{{"Worker":{{"phase":0,"report":{worker}}}}}"#),
        format!(r#"{{"Worker":{{"phase":null,"report":{worker}}}}}"#),
        r#"{"Outcome":{"Finished":{"findings":[],"inconclusive":[],"reports":[]}}}"#.to_owned(),
    ];
    vec![frames.join("\n").into_bytes(), br#"{"Outcome":{"Panicked":"boom"}}"#.to_vec()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn seeds_are_understood() {
        assert!(super::seeds().iter().all(|seed| ktstr::fuzzing::reports(seed) == 0));
    }
}
