//! Wakeup latencies as a picture for each cgroup.

use super::timeline::{cgroup_name, cgroups, colour};
use crate::units;
use ktstr_workload::{LatencyHistogram, WorkerReport};
use maud::{Markup, html};
use std::collections::BTreeMap;

/// Pictures side by side.
const MOST_PICTURES: usize = 24;
/// Bars for each doubling of the latency.
const BARS_PER_DOUBLING: f64 = 4.0;
const HEIGHT: f64 = 60.0;

/// The latencies of each cgroup that has some.
pub(super) fn render(reports: &[WorkerReport]) -> Markup {
    let cgroups = cgroups(reports);
    let all = cgroups.iter().enumerate().map(|(number, cgroup)| (number, *cgroup, of_cgroup(reports, cgroup)));
    let all: Vec<_> = all.filter(|(.., histogram)| !histogram.is_empty()).collect();
    html! {
        @if !all.is_empty() {
            h3 { "Wakeup latency" }
            div.histograms {
                @for (number, cgroup, histogram) in all.iter().take(MOST_PICTURES) { (picture(*number, cgroup, histogram)) }
            }
            p.muted {
                "Latency and count are on logarithmic scales."
                @if all.len() > MOST_PICTURES { (format!(" {} cgroups more are in the record.", all.len() - MOST_PICTURES)) }
            }
        }
    }
}

fn of_cgroup(reports: &[WorkerReport], cgroup: &str) -> LatencyHistogram {
    let mut sum = LatencyHistogram::default();
    reports.iter().filter(|report| report.cgroup == cgroup).for_each(|report| sum.add(&report.wake_latency));
    sum
}

fn picture(number: usize, cgroup: &str, histogram: &LatencyHistogram) -> Markup {
    let bars = bars(histogram);
    let (Some(first), Some(last)) = (bars.keys().next(), bars.keys().next_back()) else { return html! {} };
    let count = last - first + 1;
    let most = bars.values().max().map_or(1.0, |most| height(*most));
    let quantile = |share| units::duration(histogram.quantile_ns(share).unwrap_or(0) as f64);
    html! {
        figure {
            figcaption { b { (cgroup_name(cgroup)) } " " span.muted { (histogram.len()) " wakeups" } }
            svg viewBox=(format!("0 0 {count} {HEIGHT}")) preserveAspectRatio="none" height=(HEIGHT) role="img" aria-label="latencies" {
                @for (bar, times) in &bars {
                    @let tall = height(*times) / most * HEIGHT;
                    rect.(colour(number)) x=(bar - first) width="0.9" y=(format!("{:.1}", HEIGHT - tall)) height=(format!("{tall:.1}")) {
                        title { (units::duration(lower_ns(*bar))) " to " (units::duration(lower_ns(bar + 1))) ": " (times) }
                    }
                }
            }
            div.ends { span { (units::duration(lower_ns(*first))) } span { (units::duration(lower_ns(last + 1))) } }
            div.muted { "p50 " (quantile(0.5)) " · p99 " (quantile(0.99)) " · max " (quantile(1.0)) }
        }
    }
}

/// A single one is to be seen beside millions.
fn height(times: u64) -> f64 {
    (times as f64 + 1.0).ln()
}

fn bars(histogram: &LatencyHistogram) -> BTreeMap<u32, u64> {
    let mut bars = BTreeMap::new();
    for (latency_ns, times) in histogram.pairs() {
        let bar = ((latency_ns.max(1) as f64).log2() * BARS_PER_DOUBLING) as u32;
        *bars.entry(bar).or_default() += times;
    }
    bars
}

fn lower_ns(bar: u32) -> f64 {
    (f64::from(bar) / BARS_PER_DOUBLING).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_latency_is_within_its_bar() {
        let mut histogram = LatencyHistogram::default();
        for latency_ns in [1_u64, 1000, 1000, 123_456] {
            histogram.record(latency_ns, 1);
        }
        let bars = bars(&histogram);
        assert_eq!(bars.values().sum::<u64>(), 4);
        assert_eq!(bars[&39], 2);
        assert!(lower_ns(39) <= 1000.0 && lower_ns(40) > 1000.0);
    }
}
