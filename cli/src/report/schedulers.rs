//! The scheduler under test, and what became of each that was started.

use super::details::tail;
use crate::units;
use ktstr::{Record, SchedulerClass, SchedulerPart, SchedulerRun};
use maud::{Markup, html};

/// The most runs of schedulers that are shown one by one.
const MOST_RUNS: usize = 50;

/// What there is to see of a record's schedulers; nothing where it had none but the kernel's own.
pub(super) fn render(record: &Record) -> Markup {
    let runs = &record.guest.schedulers;
    html! {
        @if !runs.is_empty() {
            h3 { "Schedulers" }
            table {
                thead { tr {
                    th { "scheduler" } th { "ops" } th { "loaded in" } th { "enabled for" } th { "end" } th { "the kernel's words" }
                } }
                tbody { @for run in runs.iter().take(MOST_RUNS) { (row(run)) } }
            }
            @if runs.len() > MOST_RUNS { p.muted { (runs.len() - MOST_RUNS) " more are in the record." } }
            @for run in runs.iter().take(MOST_RUNS) { (said(run)) }
        }
    }
}

/// The scheduler in a few words.
pub(super) fn identity(part: &SchedulerPart) -> Vec<(&'static str, String)> {
    let mut words = vec![part.name.clone(), part.binary.clone()];
    words.extend(part.path.as_ref().map(|path| path.display().to_string()));
    words.extend(Some(part.args.join(" ")).filter(|args| !args.is_empty()));
    let hash = part.hash.clone().map(|hash| ("scheduler hash", hash));
    std::iter::once(("scheduler", words.join(" · "))).chain(hash).collect()
}

fn row(run: &SchedulerRun) -> Markup {
    let exit = &run.exit;
    let words = [&exit.reason, &exit.message].into_iter().flatten().cloned().collect::<Vec<_>>().join(": ");
    html! {
        tr {
            td { (run.name) }
            td { (run.ops().unwrap_or("-")) }
            td.number { (run.load_ns().map_or_else(|| "-".to_owned(), |ns| units::duration(ns as f64))) }
            td.number {
                (units::duration(run.enabled_ns() as f64))
                @if !run.restarts.is_empty() { ", " (run.restarts.len()) " restarts" }
            }
            td { @if exit.class == SchedulerClass::Clean { (exit.class) } @else { span.failed { (exit.class) } } }
            td { (words) }
        }
    }
}

fn said(run: &SchedulerRun) -> Markup {
    let kernel: Vec<&str> = run.kernel.iter().map(|line| line.line.as_str()).collect();
    html! {
        details open[run.exit.class != SchedulerClass::Clean] {
            summary { "What " (run.name) " and the kernel said" }
            (tail("Standard error", &run.stderr))
            (tail("Standard output", &run.stdout))
            (tail("Kernel log", &kernel.join("\n")))
            (tail("The kernel's dump of sched_ext", &run.exit.dump))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record;
    use ktstr::{KernelLine, SchedulerExit, Verdict};

    #[test]
    fn an_end_is_shown_with_the_kernels_words() {
        let exit = SchedulerExit {
            class: SchedulerClass::Stalled,
            reason: Some("runnable task stall".to_owned()),
            message: Some("sh[1] failed to run for <7.5s>".to_owned()),
            ..SchedulerExit::default()
        };
        let kernel = vec![KernelLine { at_ns: 1, line: "3: sched_ext: x".to_owned() }];
        let run = SchedulerRun { name: "qmap".to_owned(), exit, kernel, ..SchedulerRun::default() };
        let mut with = record("a", Verdict::Pass);
        assert_eq!(render(&with).into_string(), "");
        with.guest.schedulers.push(run);
        let text = render(&with).into_string();
        for expected in
            ["runnable task stall: sh[1] failed to run for &lt;7.5s&gt;", "<details open>", "3: sched_ext: x"]
        {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        assert_eq!(identity(&SchedulerPart::default()), [("scheduler", "eevdf · none".to_owned())]);
    }
}
