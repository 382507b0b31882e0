//! A comparison for a person.

use super::judge::{Comparison, Judgement, Trend};
use super::rank::median;
use super::variants::kernels;
use crate::runs::Run;
use crate::units::three_digits;

/// A line about one of the runs.
pub(super) fn head(role: &str, run: &Run) -> String {
    let kernels: Vec<String> = kernels(run).into_iter().collect();
    format!("{role}  {} · {} · {} records\n", run.id(), kernels.join(", "), run.whole.len() + run.damaged.len())
}

/// What changed, or with `all` what did not, too; the counts are the last line.
pub(super) fn body(judgement: &Judgement, all: bool) -> String {
    let mut lines: Vec<(Trend, String)> = judgement
        .changes
        .iter()
        .map(|change| (change.trend, format!("{:<7}  {}  {}", word(change.trend), change.variant, change.what)))
        .collect();
    let shown = judgement.comparisons.iter().filter(|comparison| all || comparison.trend != Trend::Same);
    lines.extend(shown.map(|comparison| (comparison.trend, line(comparison))));
    lines.sort_by_key(|(trend, _)| *trend);
    let mut text: String = lines.into_iter().map(|(_, line)| line + "\n").collect();
    if !judgement.one_sample.is_empty() {
        let names = judgement.one_sample.join(", ");
        text.push_str(&format!("one sample: not tested: {names}\n"));
    }
    if judgement.hopeless > 0 {
        text.push_str(&format!(
            "too few samples: {} of {} measurements could not have been significant; {} replicas of each run could\n",
            judgement.hopeless,
            judgement.comparisons.len(),
            judgement.enough
        ));
    }
    let trends = [Trend::Worse, Trend::Differs, Trend::Better, Trend::Same];
    let [worse, differ, better, same] = trends.map(|trend| judgement.count(trend));
    let differ = if differ == 0 { String::new() } else { format!("{differ} that differ, ") };
    text + &format!("{worse} worse, {differ}{better} better, {same} without a significant change\n")
}

fn word(trend: Trend) -> &'static str {
    match trend {
        Trend::Worse => "worse",
        Trend::Differs => "differs",
        Trend::Better => "better",
        Trend::Same => "same",
    }
}

fn line(comparison: &Comparison) -> String {
    let Comparison { variant, measure: (cgroup, metric), samples, ranked, p, trend } = comparison;
    let cgroup = cgroup.as_ref().map_or_else(String::new, |cgroup| format!("{cgroup} "));
    let [before, after] = samples.each_ref().map(|samples| metric.show(median(samples)));
    let interval = match ranked.interval {
        Some((low, high)) => format!(" [{} to {}]", three_digits(low), three_digits(high)),
        None => String::new(),
    };
    format!(
        "{:<7}  {variant}  {cgroup}{}: {before} → {after}, ×{}{interval}, delta {:+.2}, p {}, {} and {} samples",
        word(*trend),
        metric.name(),
        three_digits(ranked.ratio),
        ranked.delta,
        if *p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") },
        samples[0].len(),
        samples[1].len()
    )
}
