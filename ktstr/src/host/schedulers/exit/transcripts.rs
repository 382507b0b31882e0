//! Real ends of real schedulers: transcripts of the kernel's own ones are classified rightly.

use super::classify;
use crate::scheduler::{EnabledSpan, KernelLine, SchedulerClass, SchedulerRun};
use ktstr_wire::ExitStatus;
use ktstr_wire::scheduler::{EndCause, SchedulerEnd};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// A run as the agent would tell it.
fn run(file: &str, cause: EndCause) -> SchedulerRun {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sched_ext").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut sections: HashMap<&str, String> = HashMap::new();
    let mut name = "";
    let headings = ["exit code", "standard output", "standard error", "kernel log"];
    for line in text.lines() {
        match line.strip_prefix("-- ").filter(|rest| headings.contains(rest)) {
            Some(heading) => name = heading,
            None => sections.entry(name).or_default().push_str(&format!("{line}\n")),
        }
    }
    let section = |name: &str| sections.get(name).cloned().unwrap_or_default();
    let kernel: Vec<KernelLine> = section("kernel log").lines().filter_map(kernel_line).collect();
    let ops = file.split('-').nth(1).unwrap();
    let own = format!("BPF scheduler \"{ops}\" enabled");
    let enabled = |line: &&KernelLine| line.line.ends_with(&own);
    let disabled = |line: &&KernelLine| line.line.contains("\" disabled (");
    let mut ends = kernel.iter().filter(disabled).map(|line| line.at_ns);
    let starts = kernel.iter().filter(enabled).map(|line| line.at_ns);
    let mut spans: Vec<EnabledSpan> =
        starts.map(|from_ns| EnabledSpan { ops: ops.to_owned(), from_ns, disabled_ns: ends.next() }).collect();
    if let Some(last) = spans.last_mut().filter(|_| cause == EndCause::Asked) {
        last.disabled_ns = None;
    }
    let status = match section("exit code").trim().parse().unwrap() {
        137 => ExitStatus::Signal(9),
        code => ExitStatus::Code(code),
    };
    let at_ns = kernel.last().map_or(0, |line| line.at_ns);
    let end = SchedulerEnd { at_ns, cause, status: Some(status), killed: false, state: "disabled".to_owned() };
    SchedulerRun {
        name: "one".to_owned(),
        enabled: spans,
        end: Some(end),
        stdout: section("standard output"),
        stderr: section("standard error"),
        kernel,
        ..SchedulerRun::default()
    }
}

/// `[   42.077569] sched_ext: …`
fn kernel_line(line: &str) -> Option<KernelLine> {
    let (time, text) = line.strip_prefix('[')?.split_once("] ")?;
    let seconds: f64 = time.trim().parse().ok()?;
    Some(KernelLine { at_ns: (seconds * 1e9) as u64, line: format!("3: {text}") })
}

/// What the run comes to; the finding has the words, in what was measured or in the evidence.
fn check(file: &str, cause: EndCause, class: SchedulerClass, asserted: &str, words: &[&str]) {
    let came = classify(&run(file, cause), None);
    assert_eq!(came.exit.class, class, "{file}: {came:?}");
    let told: Vec<&str> = came.findings.iter().map(|finding| finding.asserted.as_str()).collect();
    let expected: Vec<&str> = Some(asserted).filter(|asserted| !asserted.is_empty()).into_iter().collect();
    assert_eq!(told, expected, "{file}: {came:?}");
    let text = came.findings.iter().map(ToString::to_string).chain(came.doubts).collect::<Vec<_>>().join("\n");
    for word in words {
        assert!(text.contains(word), "{file}: {word:?} is not in {text}");
    }
}

use EndCause::{Asked, Itself};
use SchedulerClass as Class;

#[test]
fn a_clean_end_is_no_finding() {
    for file in ["6.16.12-simple-clean.txt", "7.3.4-simple-clean.txt", "6.16.12-simple-of-7.3.txt"] {
        check(file, Asked, Class::Clean, "", &[]);
        assert!(classify(&run(file, Asked), None).doubts.is_empty());
    }
}

#[test]
fn stalls_have_the_kernels_words() {
    let words = |what: &'static str| {
        ["runnable task stall (", what, "sched_ext: BPF scheduler \"qmap\" disabled", "EXIT: ", "dump"]
    };
    check(
        "6.16.12-qmap-stall-user.txt",
        Itself,
        Class::Stalled,
        "scheduler_serves",
        &words("scx_qmap[424] failed to run for 5.432s"),
    );
    for file in ["6.16.12-qmap-stall-kernel.txt", "7.3.4-qmap-stall-user.txt"] {
        check(file, Itself, Class::Stalled, "scheduler_serves", &words("for "));
    }
    check(
        "7.3.4-qmap-stall-kernel.txt",
        Itself,
        Class::Stalled,
        "scheduler_serves",
        &words("watchdog failed to check in for 5.016s"),
    );
}

#[test]
fn a_stall_has_a_window() {
    let run = run("6.16.12-qmap-stall-user.txt", Itself);
    let window = |watchdog| classify(&run, watchdog).findings[0].window.unwrap();
    assert_eq!((window(None).length_ns, window(None).tolerable_ns), (5_432_000_000, 5_432_000_000 / 3 * 2));
    assert_eq!(window(Some(Duration::from_secs(5))).tolerable_ns, 5_000_000_000);
    assert_eq!(window(None).from_ns, 26_392_005_000 - 5_432_000_000);
}

#[test]
fn errors_have_kind_message_and_dump() {
    check(
        "6.16.12-qmap-error.txt",
        Itself,
        Class::Error,
        "scheduler_sound",
        &["scx_bpf_error (test triggering error)", "qmap_enqueue"],
    );
    check(
        "7.3.4-qmap-error.txt",
        Itself,
        Class::Error,
        "scheduler_sound",
        &["scx_bpf_error (", "test triggering error"],
    );
    check(
        "7.3.4-qmap-bad-dup.txt",
        Itself,
        Class::RuntimeError,
        "scheduler_sound",
        &["cid 0 assigned to multiple cpus", "before it was enabled"],
    );
    let exit = classify(&run("6.16.12-qmap-error.txt", Itself), None).exit;
    assert_eq!((exit.kind, exit.message.as_deref()), (Some(1025), Some("test triggering error")));
    assert!(exit.dump.contains("QMAP: dsp_idx=1") && !exit.dump.contains("EXIT"), "{}", exit.dump);
}

#[test]
fn what_does_not_load_is_told_apart() {
    let loads = "scheduler_loads";
    check(
        "7.3.4-qmap-verifier-rejects.txt",
        Itself,
        Class::Rejected,
        loads,
        &["the verifier rejected qmap_dequeue", "Permission denied", "processed 71 insns"],
    );
    for file in ["6.16.12-qmap-second.txt", "7.3.4-qmap-second.txt"] {
        check(file, Itself, Class::Refused, loads, &["Device or resource busy", "Failed to attach struct_ops"]);
    }
    check(
        "7.3.4-simple-of-6.12.txt",
        Itself,
        Class::Refused,
        loads,
        &["Invalid argument", "'scx_bpf_consume': not found"],
    );
    check(
        "7.3.4-central-without-config.txt",
        Itself,
        Class::Refused,
        loads,
        &["EINVAL", "failed to open system Kconfig"],
    );
    check("6.16.12-qmap-of-7.3.txt", Itself, Class::Refused, loads, &["dump() missing, kernel too old?"]);
    check(
        "7.3.4-qmap-bad-option.txt",
        Itself,
        Class::Exited,
        loads,
        &["exited with 1 before it was enabled", "Display this help"],
    );
}

#[test]
fn what_ends_while_it_runs_is_told_apart() {
    let stays = "scheduler_stays";
    check(
        "6.16.12-simple-killed.txt",
        Itself,
        Class::Exited,
        stays,
        &["was ended by signal 9 0.1 s after it was enabled"],
    );
    check("6.16.12-simple-clean.txt", Itself, Class::Unregistered, stays, &["unregistered from user space"]);
    check("7.3.4-simple-sysrq.txt", Itself, Class::SysRq, stays, &["disabled by sysrq-S"]);
}

#[test]
fn restarts_are_told() {
    let check = |file, disabled_ms, enabled_ms| {
        check(file, Asked, Class::Clean, "", &[]);
        let restarts = classify(&run(file, Asked), None).restarts;
        let [restart] = restarts.as_slice() else { panic!("{restarts:?}") };
        let enabled_ns = restart.enabled_ns.unwrap();
        assert_eq!((restart.disabled_ns / 1_000_000, enabled_ns / 1_000_000), (disabled_ms, enabled_ms));
        assert_eq!(restart.why, "cpu 1 going online, exiting scheduler");
    };
    check("6.16.12-simple-hotplug.txt", 84_803, 87_055);
    check("7.3.4-simple-hotplug.txt", 174_750, 175_560);
}
