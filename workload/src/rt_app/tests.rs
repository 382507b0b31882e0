//! Files, good and bad, and ones made at random.

use super::*;

fn parse(text: &str) -> RtApp {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn check_error(text: &str, expected: &str) {
    let error = text.parse::<RtApp>().unwrap_err().to_string();
    assert!(error.contains(expected), "{error}: {text}");
}

/// One thread with these entries.
fn thread(entries: &str) -> String {
    format!("{{ \"tasks\" : {{ \"t\" : {{ {entries} }} }} }}")
}

#[test]
fn phases_loops_and_instances() {
    let app = parse(
        r#"{ /* as in the tutorial */
            "tasks" : {
                "thread0" : {
                    "instance" : 2, "loop" : 3, "cpus" : [2, 0],
                    "phases" : {
                        "light" : { "loop" : 10, "run" : 3000, "timer" : { "ref" : "unique", "period" : 30000 } },
                        "heavy" : { "cpus" : [1], "run0" : 27000, "timer1" : { "ref" : "unique", "period" : 30000, "mode" : "absolute" } },
                    },
                },
                "other" : { "loop" : -1, "runtime" : 5, "sleep" : 7, "run" : 1, "yield" : "" }
            },
            "global" : { "duration" : 2, "calibration" : "CPU0", "default_policy" : "SCHED_OTHER", "ftrace" : true, }
        }"#,
    );
    assert_eq!(app.threads().collect::<Vec<_>>(), ["thread0", "thread0", "other"]);
    assert_eq!((app.duration(), app.words), (Some(Duration::from_secs(2)), 2));
    let [first, second, other] = &app.threads[..] else { panic!() };
    assert_eq!((first.loops, first.phases[0].loops, first.phases[1].loops), (Some(3), Some(10), Some(1)));
    assert_eq!(first.policy, Some((SchedPolicy::Normal, 0)));
    assert_eq!(first.cpus.as_ref().unwrap().to_string(), "0,2");
    assert_eq!(first.phases[1].cpus.as_ref().unwrap().to_string(), "1");
    let timer = |thread: &Thread, phase: usize| thread.phases[phase].events[1];
    assert_eq!(timer(first, 0), Event::Timer { timer: 0, period_ns: 30_000_000, absolute: false });
    assert_eq!(timer(first, 1), Event::Timer { timer: 0, period_ns: 30_000_000, absolute: true });
    assert_eq!(timer(second, 0), Event::Timer { timer: 1, period_ns: 30_000_000, absolute: false });
    let events = [Event::Runtime { ns: 5000 }, Event::Sleep { ns: 7000 }, Event::Run { ns: 1000 }, Event::Yield];
    assert_eq!((other.loops, &other.phases[0].events[..]), (None, &events[..]));
}

#[test]
fn names_of_one_kind_are_shared_by_all_threads() {
    let app = parse(
        r#"{ "tasks" : {
            "a" : { "lock" : "x", "signal" : "x", "resume" : "b", "barrier" : "x", "timer" : { "ref" : "tick", "period" : 1 } },
            "b" : { "instance" : 2, "lock" : "x", "wait" : { "ref" : "x", "mutex" : "x" }, "unlock" : "x",
                    "suspend" : "", "sync" : { "mutex" : "m", "ref" : "x" }, "broad" : { "ref" : "x" }, "barrier" : "x",
                    "timer" : { "ref" : "tick", "period" : 2 }, "mem" : 10, "iorun" : 20 }
        } }"#,
    );
    let events = |thread: usize| app.threads[thread].phases[0].events.clone();
    let timer = |period_ns| Event::Timer { timer: 5, period_ns, absolute: false };
    let barrier = Event::Barrier { barrier: 4, users: 3 };
    let first = [
        Event::Lock { mutex: 0 },
        Event::Signal { condition: 1 },
        Event::Lock { mutex: 3 },
        Event::Broadcast { condition: 2 },
        Event::Unlock { mutex: 3 },
        barrier,
        timer(1000),
    ];
    assert_eq!(events(0), first);
    let second = [
        Event::Lock { mutex: 0 },
        Event::Wait { condition: 1, mutex: 0 },
        Event::Unlock { mutex: 0 },
        Event::Lock { mutex: 3 },
        Event::Wait { condition: 2, mutex: 3 },
        Event::Unlock { mutex: 3 },
        Event::Lock { mutex: 6 },
        Event::Signal { condition: 1 },
        Event::Wait { condition: 1, mutex: 6 },
        Event::Unlock { mutex: 6 },
        Event::Broadcast { condition: 1 },
        barrier,
        timer(2000),
        Event::Memory { bytes: 10 },
        Event::Io { bytes: 20 },
    ];
    assert_eq!((events(1), events(2), app.words), (second.to_vec(), second.to_vec(), 7));
}

#[test]
fn policies() {
    let check = |entries: &str, expected: Option<(SchedPolicy, i32)>| {
        assert_eq!(parse(&thread(&format!("{entries} \"run\" : 1"))).threads[0].policy, expected, "{entries}");
    };
    check("", None);
    check(r#""priority" : -19,"#, Some((SchedPolicy::Normal, -19)));
    check(r#""policy" : "SCHED_FIFO","#, Some((SchedPolicy::Fifo(10), 0)));
    check(r#""policy" : "SCHED_RR", "priority" : 3,"#, Some((SchedPolicy::RoundRobin(3), 0)));
    let us = Duration::from_micros;
    let deadline = |runtime, deadline, period| SchedPolicy::Deadline {
        runtime: us(runtime),
        deadline: us(deadline),
        period: us(period),
    };
    let text = r#""policy" : "SCHED_DEADLINE", "dl-runtime" : 100, "dl-period" : 900, "dl-deadline" : 500,"#;
    check(text, Some((deadline(100, 500, 900), 0)));
    check(r#""policy" : "SCHED_DEADLINE", "dl-runtime" : 100, "dl-period" : 900,"#, Some((deadline(100, 900, 900), 0)));
    check_error(
        &thread(r#""policy" : "SCHED_FIFO", "priority" : 100, "run" : 1"#),
        "in tasks.t of the rt-app file: real-time",
    );
    check_error(&thread(r#""policy" : "SCHED_FAIR", "run" : 1"#), "in tasks.t.policy of the rt-app file");
}

#[test]
fn who_is_suspended_waits_for_the_condition_of_that_name() {
    let text = r#""suspend" : "q", "resume" : "q", "signal" : "q", "suspend" : "" "#;
    let with = |mutex, inner| [Event::Lock { mutex }, inner, Event::Unlock { mutex }];
    let expected = [
        &with(1, Event::Wait { condition: 0, mutex: 1 })[..],
        &with(1, Event::Broadcast { condition: 0 }),
        &[Event::Signal { condition: 0 }],
        &with(3, Event::Wait { condition: 2, mutex: 3 }),
    ];
    assert_eq!(parse(&thread(text)).threads[0].phases[0].events, expected.concat());
}

#[test]
fn a_mutex_that_is_held_is_not_locked_by_sync() {
    let sync = r#""sync" : { "ref" : "q", "mutex" : "m" }"#;
    let check = |before: &str, expected: [bool; 2]| {
        let events = parse(&thread(&format!("{before} {sync}, \"run\" : 1"))).threads[0].phases[0].events.clone();
        let signal = events.iter().position(|event| matches!(event, Event::Signal { .. })).unwrap();
        assert!(matches!(events[signal + 1], Event::Wait { .. }));
        let around = [events.get(signal - 1), events.get(signal + 2)];
        let locks = around.map(|event| matches!(event, Some(Event::Lock { .. } | Event::Unlock { .. })));
        assert_eq!(locks, expected, "{events:?}");
    };
    check(r#""lock" : "m", "run" : 1,"#, [false, false]);
    check(r#""lock" : "m", "unlock" : "m", "run" : 1,"#, [true, true]);
    check(r#""lock" : "other", "run" : 1,"#, [true, true]);
}

#[test]
fn a_phase_changes_what_it_says() {
    let entries = r#""priority" : 3, "phases" : {
        "a" : { "run" : 1 },
        "b" : { "policy" : "SCHED_FIFO", "priority" : 5, "run" : 1 },
        "c" : { "priority" : -5, "run" : 1 } }"#;
    let app = parse(&thread(entries));
    assert_eq!(app.threads[0].policy, Some((SchedPolicy::Normal, 3)));
    let policies: Vec<_> = app.threads[0].phases.iter().map(|phase| phase.policy).collect();
    assert_eq!(policies, [None, Some((SchedPolicy::Fifo(5), 0)), Some((SchedPolicy::Normal, -5))]);
    check_error(
        &thread(r#""phases" : { "p" : { "run" : 1, "priority" : 20 } }"#),
        "in tasks.t.phases.p of the rt-app file",
    );
}

#[test]
fn what_is_not_understood_is_named_with_its_place() {
    check_error("{ \"tasks\" : {} }", "there are no tasks");
    check_error("{ \"taks\" : {} }", "in taks of the rt-app file: this key is not understood");
    check_error("[1]", "in the top of the rt-app file: it takes an object");
    check_error("{ \"tasks\" : { \"t\" : { \"run\" : 1 }", "in the file of the rt-app file: EOF");
    check_error(&thread(r#""period" : 24000, "run" : 1"#), "in tasks.t.period of the rt-app file: this key is not");
    check_error(
        &thread(r#""exec" : 5000, "period" : 24000"#),
        "in tasks.t.exec of the rt-app file: this is of files older",
    );
    check_error(
        &thread(r#""fork" : "t", "run" : 1"#),
        "in tasks.t.fork of the rt-app file: workers are all made before",
    );
    check_error(&thread(r#""phases" : { "p" : { "run" : 1, "util_min" : 2 } }"#), "by its `uclamp`");
    check_error(&thread(r#""phases" : { "p" : { "run" : 1, "jump" : 2 } }"#), "in tasks.t.phases.p.jump");
    check_error(&thread(r#""timer" : { "ref" : "x" }"#), "in tasks.t.timer of the rt-app file: it needs a `period`");
    check_error(&thread(r#""timer" : { "ref" : "x", "period" : 1, "mode" : "odd" }"#), "tasks.t.timer.mode");
    check_error(&thread(r#""run" : -1"#), "in tasks.t.run of the rt-app file: it takes a whole number of at least 0");
    check_error(&thread(r#""run" : "1""#), "it takes a whole number");
    check_error(&thread(r#""cpus" : [], "run" : 1"#), "one CPU at least");
    check_error(&thread(r#""loop" : 2"#), "it does nothing");
    check_error(&thread(r#""instance" : 100000, "run" : 1"#), "more than 4096 threads");
    check_error(
        "{ \"tasks\" : { \"t\" : { \"run\" : 1 } }, \"global\" : { \"pi_enabled\" : true } }",
        "in global.pi_enabled",
    );
}

/// What is written down is what is read, however it is written.
#[test]
fn random_files_come_back() {
    let mut random = fastrand::Rng::with_seed(5);
    for _ in 0..300 {
        let mut names = std::collections::HashMap::new();
        let mut number = |kind: &str, name: u8| {
            let next = names.len();
            *names.entry(format!("{kind}{name}")).or_insert(next)
        };
        let (mut text, mut expected) = (String::new(), Vec::new());
        for _ in 0..random.usize(1..9) {
            let (value, name) = (random.u32(..), random.u8(b'a'..b'd'));
            let suffix = ["", "0", "17"][random.usize(..3)];
            let (key, node, event) = match random.u8(..6) {
                0 => ("run", value.to_string(), Event::Run { ns: u64::from(value) * 1000 }),
                1 => ("sleep", value.to_string(), Event::Sleep { ns: u64::from(value) * 1000 }),
                2 => ("lock", format!("\"{}\"", name as char), Event::Lock { mutex: number("mutex", name) }),
                3 => ("unlock", format!("\"{}\"", name as char), Event::Unlock { mutex: number("mutex", name) }),
                4 => ("broad", format!("\"{}\"", name as char), Event::Broadcast { condition: number("cond", name) }),
                _ => ("mem", value.to_string(), Event::Memory { bytes: u64::from(value) }),
            };
            let comment = ["", "/* } , */", "// ]\n", "\n\t"][random.usize(..4)];
            text.push_str(&format!("{comment}\"{key}{suffix}\"{comment}:{node}{comment},"));
            expected.push(event);
        }
        assert_eq!(parse(&thread(&text)).threads[0].phases[0].events, expected, "{text}");
    }
}
