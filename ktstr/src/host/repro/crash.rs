//! Whether a scheduler crashed, and what the kernel named there: pure functions of what was seen.

use crate::host::observations::Observations;
use crate::repro::{Crash, Focus, FocusTask, ReproOutcome};
use crate::scheduler::{SchedulerClass, SchedulerRun};
use crate::verdict::Finding;

/// What is asserted of the console.
const HEALTHY: &str = "kernel_healthy";

/// Ends of a scheduler that a trace of the kernel can tell more of.
const CRASHES: [SchedulerClass; 4] =
    [SchedulerClass::Stalled, SchedulerClass::Error, SchedulerClass::RuntimeError, SchedulerClass::BpfFault];

/// A crash with all that the kernel said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) crash: Crash,
    /// The kernel's dump, its log, or its complaint.
    pub(super) words: Vec<String>,
}

/// The first crash of a scheduler; where there is none and a scheduler was enabled, the kernel's first complaint.
pub(super) fn find(seen: &Observations) -> Option<Told> {
    let crashed = seen.schedulers.iter().find(|run| CRASHES.contains(&run.exit.class));
    crashed.map(of_scheduler).or_else(|| {
        let was_enabled = seen.schedulers.iter().any(|run| !run.enabled.is_empty());
        seen.console.findings.iter().find(|finding| finding.asserted == HEALTHY).filter(|_| was_enabled).map(of_kernel)
    })
}

fn of_scheduler(run: &SchedulerRun) -> Told {
    let exit = &run.exit;
    let crash = Crash {
        scheduler: run.name.clone(),
        class: Some(exit.class),
        kind: exit.kind,
        message: exit.message.clone().unwrap_or_default(),
    };
    let lines = run.kernel.iter().map(|line| line.line.clone());
    Told { crash, words: exit.dump.lines().map(str::to_owned).chain(lines).collect() }
}

fn of_kernel(finding: &Finding) -> Told {
    let crash = Crash { scheduler: String::new(), class: None, kind: None, message: finding.measured.clone() };
    Told { crash, words: finding.evidence.clone() }
}

/// What the second run came to, which ended well or not as `seen` says.
pub(super) fn compare(first: &Crash, second: Option<&Crash>) -> ReproOutcome {
    let Some(crash) = second else { return ReproOutcome::NotAgain };
    let key = |crash: &Crash| (crash.scheduler.clone(), crash.class, crash.kind);
    let same_words = without_numbers(&first.message) == without_numbers(&crash.message);
    let same = key(first) == key(crash) && (crash.class.is_some() || same_words);
    let crash = crash.clone();
    if same { ReproOutcome::Again { crash, same_words } } else { ReproOutcome::Otherwise { crash } }
}

/// Times, process numbers and addresses differ from run to run.
fn without_numbers(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty() && !word.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// What the kernel named.
pub(super) fn focus(told: &Told) -> Focus {
    let message = &told.crash.message;
    // `sh[718] triggered exit kind 1025 on CPU 0:` begins the dump.
    let head = told.words.iter().find_map(|line| line.split_once(" triggered exit kind "));
    let in_head = || head.and_then(|(name, _)| task(&format!("{name} failed to run")));
    let cpu = head.and_then(|(_, rest)| rest.split_once(" on CPU ")?.1.trim_end_matches(':').parse().ok());
    let task = task(message).or_else(in_head);
    let dsq = dsq(message).or_else(|| dsq_of(task.as_ref()?, &told.words));
    Focus { task, cpu, dsq }
}

/// `NAME[PID] failed to run …`, where the name may have spaces, or the first `NAME[PID]` of another message.
fn task(message: &str) -> Option<FocusTask> {
    let (before, rest) = message.split_once('[')?;
    let (pid, rest) = rest.split_once(']')?;
    let is_whole = rest.starts_with(" failed to run");
    let comm = if is_whole { before } else { before.rsplit(' ').next()? };
    Some(FocusTask { comm: comm.to_owned(), pid: pid.parse().ok()? }).filter(|task| !task.comm.is_empty())
}

/// The queue that the dump has the task in: `  R sh[113] *root -1548ms`, and some lines below `… dsq_id=0x1001`.
fn dsq_of(task: &FocusTask, words: &[String]) -> Option<u64> {
    let name = format!(" {task} ");
    let at = words.iter().position(|line| line.contains(&name) && line.ends_with("ms"))?;
    let of_task = words[at + 1..].iter().take_while(|line| !line.trim().is_empty());
    let (_, id) = of_task.filter_map(|line| line.split_once(" dsq_id=0x")).next()?;
    u64::from_str_radix(id.split(' ').next()?, 16).ok()
}

/// The number behind the word `DSQ`.
fn dsq(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once("DSQ")?;
    let numbers = rest.split(|c: char| !c.is_ascii_alphanumeric());
    numbers.filter_map(|word| word.strip_prefix("0x")).find_map(|digits| u64::from_str_radix(digits, 16).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::console::ConsoleSeen;
    use crate::scheduler::{EnabledSpan, SchedulerExit};

    fn run(class: SchedulerClass, message: &str, dump: &str) -> SchedulerRun {
        let (message, dump) = (Some(message.to_owned()), dump.to_owned());
        let exit = SchedulerExit { class, kind: Some(1026), message, dump, ..SchedulerExit::default() };
        let span = EnabledSpan { ops: "a".to_owned(), from_ns: 1, disabled_ns: Some(2) };
        SchedulerRun { name: "a".to_owned(), enabled: vec![span], exit, ..SchedulerRun::default() }
    }

    fn seen(runs: Vec<SchedulerRun>, console: &str) -> Observations {
        Observations { schedulers: runs, console: ConsoleSeen::of(console), ..Observations::default() }
    }

    fn crash(class: Option<SchedulerClass>, kind: u32, message: &str) -> Crash {
        Crash { scheduler: "a".to_owned(), class, kind: Some(kind), message: message.to_owned() }
    }

    #[test]
    fn the_scheduler_comes_before_the_kernel() {
        let found = |runs, console: &str| find(&seen(runs, console)).map(|told| told.crash.to_string());
        let (stalled, clean) = (SchedulerClass::Stalled, SchedulerClass::Clean);
        let both = vec![run(clean, "", ""), run(stalled, "sh[1] failed to run for 5.1s", "")];
        assert_eq!(found(both, "BUG: x\n").as_deref(), Some("runnable task stall (sh[1] failed to run for 5.1s)"));
        assert_eq!(found(vec![run(clean, "", "")], "BUG: x\n").as_deref(), Some("kernel BUG on the console"));
        assert_eq!(found(vec![run(clean, "", "")], "all is well\n"), None);
        assert_eq!(found(vec![], "BUG: x\n"), None);
        for other in [SchedulerClass::Rejected, SchedulerClass::Exited, SchedulerClass::Killed, SchedulerClass::Unknown]
        {
            assert_eq!(found(vec![run(other, "", "")], ""), None, "{other}");
        }
    }

    #[test]
    fn crashes_are_told_apart() {
        let stall = |words: &str| crash(Some(SchedulerClass::Stalled), 1026, words);
        let first = stall("sh[192] failed to run for 7.556s");
        let again = |same_words| move |outcome: &ReproOutcome| matches!(outcome, ReproOutcome::Again { same_words: same, .. } if *same == same_words);
        assert!(again(true)(&compare(&first, Some(&stall("sh[7] failed to run for 1.5s")))));
        assert!(again(false)(&compare(&first, Some(&stall("watchdog failed to check in for 5.016s")))));
        assert_eq!(compare(&first, None), ReproOutcome::NotAgain);
        let error = crash(Some(SchedulerClass::Error), 1025, "sh[192] failed to run for 7.556s");
        assert_eq!(compare(&first, Some(&error)), ReproOutcome::Otherwise { crash: error });
        let other = Crash { scheduler: "b".to_owned(), ..first.clone() };
        assert_eq!(compare(&first, Some(&other)), ReproOutcome::Otherwise { crash: other });
        let complaint = |words: &str| crash(None, 0, words);
        let warning = complaint("kernel warning on the console");
        assert!(again(true)(&compare(&warning, Some(&warning))));
        let bug = complaint("kernel BUG on the console");
        assert_eq!(compare(&warning, Some(&bug)), ReproOutcome::Otherwise { crash: bug });
    }

    #[test]
    fn the_kernels_words_name_what_it_is_about() {
        let check = |message: &str, dump: &str, task: Option<(&str, i32)>, cpu: Option<u32>, dsq: Option<u64>| {
            let told = of_scheduler(&run(SchedulerClass::Stalled, message, dump));
            let task = task.map(|(comm, pid)| FocusTask { comm: comm.to_owned(), pid });
            assert_eq!(focus(&told), Focus { task, cpu, dsq }, "{message}");
        };
        let head = "ktstr: root\nkworker/u8:1[47] triggered exit kind 1026 on CPU 1:\n";
        check("bash[113] failed to run for 1.548s", head, Some(("bash", 113)), Some(1), None);
        check("my worker[113] failed to run for 1.548s", "", Some(("my worker", 113)), None, None);
        check("ktstr: fault, at bash[139]", head, Some(("bash", 139)), Some(1), None);
        check("watchdog failed to check in for 5.016s", head, Some(("kworker/u8:1", 47)), Some(1), None);
        check("invalid DSQ ID 0x000000000000dead", "", None, None, Some(0xdead));
        check("non-existent DSQ 0xdead for sh[3]", "", Some(("sh", 3)), None, Some(0xdead));
        let in_queue = |state: &str| {
            format!(
                "{head}\n  R bash[13] *root -1ms\n      a=1 dsq_id=0x1\n\n  R bash[113] *root -1548ms\n      scx_state/flags=4/0x3\n      sticky/holding_cpu=-1/-1 {state}\n      cpus=3\n\n  R bash[1] *root -1ms\n      b=1 dsq_id=0x2\n"
            )
        };
        let stall = "bash[113] failed to run for 1.548s";
        check(stall, &in_queue("dsq_id=0x1001"), Some(("bash", 113)), Some(1), Some(0x1001));
        check(stall, &in_queue("dsq_id=(n/a)"), Some(("bash", 113)), Some(1), None);
        for nothing in ["", "[", "a[", "[1]", "a[b]", "DSQ", "DSQ x"] {
            check(nothing, "", None, None, None);
        }
    }
}
