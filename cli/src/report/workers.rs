//! What each worker measured, as a table.

use super::timeline::{cgroup_name, cgroups, colour};
use crate::units;
use ktstr_workload::{Progress, WorkerReport};
use maud::{Markup, html};

/// More are in the record.
const MOST_ROWS: usize = 256;

/// The table.
pub(super) fn render(reports: &[WorkerReport]) -> Markup {
    let cgroups = cgroups(reports);
    html! {
        h3 { "Workers" }
        div.scroll {
            table.workers {
                thead {
                    tr {
                        @for name in ["cgroup", "work", "worker", "pid"] { th { (name) } }
                        @for name in ["units", "rounds", "CPU", "run delay", "wake p50", "wake p99", "longest gap", "moves", "switches"] {
                            th.number { (name) }
                        }
                        th { "CPUs" }
                        th { "over time" }
                    }
                }
                tbody {
                    @for report in reports.iter().take(MOST_ROWS) {
                        @let number = cgroups.iter().position(|name| *name == report.cgroup).unwrap_or(0);
                        (row(report, &colour(number)))
                    }
                }
            }
        }
        @if reports.len() > MOST_ROWS { p.muted { (reports.len() - MOST_ROWS) " workers more are in the record." } }
    }
}

fn row(report: &WorkerReport, colour: &str) -> Markup {
    let share = report.cpu_time_ns as f64 * 100.0 / report.wall_time_ns.max(1) as f64;
    let time = |ns: Option<u64>| ns.map_or_else(unknown, |ns| units::duration(ns as f64));
    let switches = report.voluntary_switches.zip(report.involuntary_switches);
    let late = !report.stopped_in_time;
    html! {
        tr {
            td.name title=(report.cgroup) { i.swatch.(colour) {} (cgroup_name(&report.cgroup)) }
            td { (report.work) }
            td { (report.index) @if late { " " span.chip.fail title="it did not answer the stop order" { "late" } } }
            td { (report.pid) }
            td.number { (report.work_units) }
            td.number { (report.iterations) }
            td.number { (format!("{share:.1} %")) }
            td.number { (time(report.run_delay_ns)) }
            td.number { (time(report.wake_latency.quantile_ns(0.5))) }
            td.number { (time(report.wake_latency.quantile_ns(0.99))) }
            td.number { (units::duration(report.longest_gap.length_ns as f64)) }
            td.number { (report.migrations) }
            td.number { (switches.map_or_else(unknown, |(own, taken)| format!("{own} + {taken}"))) }
            td { (report.cpus_visited) }
            td { (sparkline(&report.progress)) }
        }
    }
}

fn unknown() -> String {
    "–".to_owned()
}

fn sparkline(progress: &Progress) -> Markup {
    let most = progress.iterations.iter().copied().max().unwrap_or(0).max(1);
    let y = |iterations: u32| 20.0 - f64::from(iterations) * 18.0 / f64::from(most);
    let points = progress.iterations.iter().enumerate().map(|(x, iterations)| format!("{x},{:.1}", y(*iterations)));
    let points: Vec<String> = points.collect();
    html! {
        @if points.len() > 1 {
            svg.spark viewBox=(format!("0 0 {} 21", points.len() - 1)) preserveAspectRatio="none" {
                polyline points=(points.join(" ")) {}
            }
        }
    }
}
