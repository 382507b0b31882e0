//! Workloads in rt-app's JSON.

/// Reads what is text.
pub(crate) fn run(bytes: &[u8]) {
    ktstr_workload::fuzzing::rt_app(&String::from_utf8_lossy(bytes));
}

/// Each key, in each place where it may be.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let phases = r#"{ /* c */ "tasks" : { "a" : { "instance" : 2, "loop" : 3, "cpus" : [0, 1], "delay" : 5,
        "policy" : "SCHED_DEADLINE", "dl-runtime" : 1, "dl-period" : 3, "dl-deadline" : 2, "phases" : {
        "p" : { "loop" : -1, "cpus" : [1], "run" : 1, "run1" : 2, "runtime" : 3, "sleep" : 4, }, // c
        "q" : { "timer" : { "ref" : "unique1", "period" : 9, "mode" : "absolute" }, "mem" : 1, "iorun" : 2 } } } } }"#;
    let events = r#"{ "tasks" : { "a" : { "priority" : -3, "lock" : "m", "wait" : { "ref" : "c", "mutex" : "m" },
        "unlock" : "m", "signal" : "c", "broad" : { "ref" : "c" }, "sync" : { "ref" : "c", "mutex" : "m" },
        "barrier" : "b", "suspend" : "", "resume" : "a", "yield" : "" } },
        "global" : { "duration" : 2, "calibration" : 10, "default_policy" : "SCHED_RR", "pi_enabled" : false,
        "io_device" : "/dev/null", "mem_buffer_size" : 4096, "logdir" : "./" }, "resources" : {} }"#;
    vec![phases.into(), events.into()]
}
