//! Verdicts: a row a test with a profile of its scheduler, a column a machine on a kernel.

use super::page::{class, urgency};
use crate::runs::Run;
use ktstr::{Record, variant_name};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// In a cell with more replicas than this, only what needs a look is shown one by one.
const MOST_MARKS: usize = 12;

/// A column: kernel, then machine, which is what columns are sorted by.
type Column = (String, u32, String);

/// The machine in a few words: its preset's name, if it has one.
pub(super) fn machine(record: &Record) -> String {
    record.preset.clone().unwrap_or_else(|| record.machine.topology.to_string())
}

/// The kernel in a few words.
pub(super) fn kernel(record: &Record) -> String {
    record.kernel.as_ref().map_or_else(|| "no kernel".to_owned(), |kernel| kernel.release.clone())
}

fn column(record: &Record) -> Column {
    (kernel(record), record.machine.topology.cpus(), machine(record))
}

/// The table.
pub(super) fn render(run: &Run) -> Markup {
    let columns: BTreeSet<Column> = run.records().map(column).collect();
    let mut rows: BTreeMap<String, BTreeMap<Column, Vec<usize>>> = BTreeMap::new();
    for (index, record) in run.records().enumerate() {
        rows.entry(variant_name(&record.test, record.profile.as_ref()))
            .or_default()
            .entry(column(record))
            .or_default()
            .push(index);
    }
    html! {
        section #matrix {
            h2 { "Verdicts" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th {}
                            @for (kernel, span) in kernels(&columns) { th colspan=(span) scope="colgroup" { (kernel) } }
                        }
                        tr {
                            th scope="col" { "test" }
                            @for (_, cpus, machine) in &columns {
                                th.machine scope="col" { (machine) br; small.muted { (cpus) " CPUs" } }
                            }
                        }
                    }
                    tbody {
                        @for (test, cells) in &rows {
                            tr {
                                th.name scope="row" title=(test) { (test) }
                                @for column in &columns {
                                    td { @if let Some(cell) = cells.get(column) { (marks(run, cell)) } }
                                }
                            }
                        }
                    }
                }
            }
            p.muted { "A machine without a name is nodes,LLCs,cores per LLC,threads per core. A mark is one run of a test." }
        }
    }
}

fn kernels(columns: &BTreeSet<Column>) -> Vec<(&str, usize)> {
    let mut spans: Vec<(&str, usize)> = Vec::new();
    for (kernel, ..) in columns {
        match spans.last_mut() {
            Some((last, span)) if last == kernel => *span += 1,
            _ => spans.push((kernel, 1)),
        }
    }
    spans
}

fn marks(run: &Run, cell: &[usize]) -> Markup {
    let verdict = |index: &usize| &run.whole[*index].record.verdict;
    let mut shown = cell.to_vec();
    shown.sort_by_key(|index| urgency(verdict(index)));
    let passed = cell.iter().filter(|index| class(verdict(index)) == "pass").count();
    let hidden = shown.split_off(shown.len().min(MOST_MARKS)).len();
    html! {
        @for index in shown {
            a.mark.(class(verdict(&index))) href=(format!("#r{index}")) title=(run.whole[index].record.verdict) {
                (sign(class(verdict(&index))))
            }
        }
        @if cell.len() > 1 { small.muted { (format!(" {passed}/{}", cell.len())) } }
        @if hidden > 0 { small.muted { (format!(" (+{hidden})")) } }
    }
}

/// So that a verdict can be told without its colour.
fn sign(class: &str) -> &'static str {
    match class {
        "pass" => "✓",
        "fail" => "✗",
        "skip" => "–",
        _ => "?",
    }
}
