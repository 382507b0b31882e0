//! The page: summary, matrix, and a closed part for each record.

use super::{details, matrix};
use crate::runs::{Damaged, Entry, Run};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ktstr::{Record, Verdict};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The whole file.
pub(super) fn render(run: &Run) -> String {
    let order = by_urgency(run);
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'", hash(SCRIPT));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(policy);
                title { "ktstr " (run.id()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (head(run))
                main {
                    (matrix::render(run))
                    (damaged(&run.damaged))
                    section #tests {
                        h2 { "Tests" }
                        (filters(run))
                        @for index in order { (part(index, &run.whole[index])) }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// How a content security policy names a script (CSP level 3, section 2.3.1).
fn hash(script: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(script.as_bytes()))
}

/// The style class of a verdict, also its name in filters.
pub(super) fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail { .. } => "fail",
        Verdict::Skip { .. } => "skip",
        Verdict::Inconclusive { .. } => "inconclusive",
    }
}

/// What needs a look first comes first.
pub(super) fn urgency(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Fail { .. } => 0,
        Verdict::Inconclusive { .. } => 1,
        Verdict::Skip { .. } => 2,
        Verdict::Pass => 3,
    }
}

fn by_urgency(run: &Run) -> Vec<usize> {
    let mut order: Vec<usize> = (0..run.whole.len()).collect();
    order.sort_by_key(|index| (urgency(&run.whole[*index].record.verdict), *index));
    order
}

fn count(run: &Run, word: &str) -> usize {
    let whole = run.records().filter(|record| class(&record.verdict) == word).count();
    whole + if word == "inconclusive" { run.damaged.len() } else { 0 }
}

fn head(run: &Run) -> Markup {
    let distinct = |of: &dyn Fn(&Record) -> Option<String>| {
        let mut all: Vec<String> = run.records().filter_map(of).collect();
        all.sort();
        all.dedup();
        all.join(", ")
    };
    let kernels = distinct(&|record| record.kernel.as_ref().map(|kernel| kernel.release.clone()));
    let accels = distinct(&|record| record.accel.map(|accel| accel.to_string()));
    let seconds: f64 = run.records().map(|record| record.host.time.total_ms() / 1e3).sum();
    html! {
        header {
            h1 { "ktstr " small { (run.id()) } }
            p.tally {
                @for word in ["fail", "inconclusive", "skip", "pass"] {
                    @let number = count(run, word);
                    @if number > 0 { span.chip.(word) { b { (number) } " " (word) } }
                }
            }
            p.muted { (kernels) " · " (accels) " · " (format!("{seconds:.0} s of tests")) }
        }
    }
}

fn filters(run: &Run) -> Markup {
    html! {
        form #filters {
            input #words type="search" placeholder="filter by name, machine, kernel" aria-label="filter";
            @for word in ["fail", "inconclusive", "skip", "pass"] {
                @if run.records().any(|record| class(&record.verdict) == word) {
                    label { input type="checkbox" name=(word) checked; (word) }
                }
            }
            span #shown.muted {}
        }
    }
}

fn damaged(damaged: &[Damaged]) -> Markup {
    html! {
        @if !damaged.is_empty() {
            section #damaged {
                h2 { "Records that cannot be read" }
                p { "Each is a test of which it is not known what came out. None of them is a pass." }
                ul { @for one in damaged { li { b { (one.test) } ": " (one.why) " " span.muted { (one.file) } } } }
            }
        }
    }
}

/// A record's part, closed. Its content is text of a script element until it is opened: it was escaped, so that nothing in
/// it can end that element.
fn part(index: usize, entry: &Entry) -> Markup {
    let record = &entry.record;
    let class = class(&record.verdict);
    let mut machine = matrix::machine(record);
    let _ = write!(machine, " · {}", matrix::kernel(record));
    html! {
        details.test id=(format!("r{index}")) data-verdict=(class) {
            summary {
                span.chip.(class) { (class) }
                b.name { (record.title()) }
                span.muted { (machine) @if record.replica > 0 { " · replica " (record.replica) } }
                span.muted.gist { (gist(&record.verdict)) }
            }
            script type="text/plain" { (details::render(entry)) }
        }
    }
}

fn gist(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Pass => String::new(),
        Verdict::Skip { reason } | Verdict::Inconclusive { reason } => reason.clone(),
        Verdict::Fail { findings } => {
            let first = findings.first().map(|finding| format!("{}: {}", finding.asserted, finding.measured));
            let more = findings.len().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            first.unwrap_or_default() + &more
        }
    }
}
