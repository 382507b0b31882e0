//! What ran where: a lane for each CPU, with what was done to the workload above and gaps marked.

use super::lanes::{Span, WIDTH, path, strokes};
use crate::units;
use ktstr::{Finding, Record, Stimulus, StimulusKind, Topology, Verdict, Window};
use ktstr_workload::{Gap, WorkerReport};
use maud::{Markup, html};

/// Cgroups that have a colour of their own in the legend.
const MOST_LEGENDS: usize = 24;
const COLOURS: usize = 8;
/// A gap that is a smaller part of the picture is not marked.
const LEAST_GAP: u64 = 200;
/// Room above the lanes, for phases and for what was done, in pixels.
const STRIP: u32 = 20;

/// How the lanes of a machine are laid out, in pixels.
struct Layout {
    cpus: u32,
    cpus_per_llc: u32,
    lane: u32,
}

impl Layout {
    fn of(record: &Record) -> Self {
        let topology = record.machine.topology;
        let cpus = topology.cpus().clamp(1, Topology::MAX_CPUS);
        let lane = match cpus {
            0..=16 => 22,
            17..=64 => 11,
            _ => 5,
        };
        Self { cpus, cpus_per_llc: topology.cpus_per_llc().max(1), lane }
    }

    fn top(&self, cpu: u32) -> u32 {
        // A little room between LLCs.
        cpu * self.lane + cpu / self.cpus_per_llc * 4
    }

    fn height(&self) -> u32 {
        self.top(self.cpus - 1) + self.lane
    }

    fn llcs(&self) -> u32 {
        self.cpus.div_ceil(self.cpus_per_llc)
    }

    /// The lane of a CPU, or all of them.
    fn stripe(&self, cpu: Option<u32>) -> (u32, u32) {
        cpu.filter(|cpu| *cpu < self.cpus).map_or((0, self.height()), |cpu| (self.top(cpu), self.lane))
    }
}

/// The picture, or why there is none.
pub(super) fn render(record: &Record) -> Markup {
    let reports = record.guest.result.as_ref().map_or(&[][..], |result| &result.reports);
    let Some(span) = Span::of(reports) else {
        return html! { p.muted { "No worker has reported anything, so there is no picture of what ran where." } };
    };
    let cgroups = cgroups(reports);
    let layout = Layout::of(record);
    let stimuli = &record.guest.stimuli;
    html! {
        @if reports.iter().all(|report| report.runs.is_empty()) {
            p.muted { "The workers kept no account of when they ran where." }
        }
        div.timeline {
            (labels(&layout))
            div.plot {
                (phases(stimuli, span))
                (marks(stimuli, span))
                (lanes(&layout, reports, &cgroups, span, &record.verdict, stimuli))
                (axis(span))
            }
        }
        (legend(&cgroups))
        (dropped(reports))
    }
}

/// The cgroups in the order of their first workers.
pub(super) fn cgroups(reports: &[WorkerReport]) -> Vec<&str> {
    let mut cgroups: Vec<&str> = Vec::new();
    for report in reports {
        if !cgroups.contains(&report.cgroup.as_str()) {
            cgroups.push(&report.cgroup);
        }
    }
    cgroups
}

/// A cgroup's name for a person.
pub(super) fn cgroup_name(cgroup: &str) -> &str {
    if cgroup.is_empty() { "(no cgroup)" } else { cgroup }
}

/// The style class of a cgroup's colour, by its number.
pub(super) fn colour(cgroup: usize) -> String {
    format!("c{}", cgroup % COLOURS)
}

fn percent(at_ns: u64, span: Span) -> String {
    format!("{:.2}%", span.x(at_ns) as f64 * 100.0 / WIDTH as f64)
}

fn labels(layout: &Layout) -> Markup {
    html! {
        div.labels style=(format!("height:{}px;margin-top:{}px", layout.height(), 2 * STRIP)) {
            @if layout.lane >= 10 {
                @for cpu in 0..layout.cpus {
                    span style=(format!("top:{}px;line-height:{}px", layout.top(cpu), layout.lane)) {
                        @if layout.llcs() > 1 && cpu % layout.cpus_per_llc == 0 {
                            i { "LLC " (cpu / layout.cpus_per_llc) }
                        }
                        "CPU " (cpu)
                    }
                }
            } @else {
                @for llc in 0..layout.llcs() {
                    span style=(format!("top:{}px", layout.top(llc * layout.cpus_per_llc))) { "LLC " (llc) }
                }
            }
        }
    }
}

fn phases(stimuli: &[Stimulus], span: Span) -> Markup {
    let phases: Vec<&Stimulus> = stimuli.iter().filter(|stimulus| stimulus.kind == StimulusKind::Phase).collect();
    let end_ns = span.from_ns + span.length_ns;
    let ends = phases.iter().skip(1).map(|next| next.at_ns).chain([end_ns]);
    html! {
        div.phases {
            @for (phase, end_ns) in phases.iter().zip(ends) {
                @let width = span.x(end_ns).saturating_sub(span.x(phase.at_ns)) as f64 * 100.0 / WIDTH as f64;
                span title=(phase.text) style=(format!("left:{};width:{width:.2}%", percent(phase.at_ns, span))) { (phase.text) }
            }
        }
    }
}

fn marks(stimuli: &[Stimulus], span: Span) -> Markup {
    let marks = stimuli.iter().filter(|stimulus| stimulus.kind != StimulusKind::Phase);
    html! {
        div.marks {
            @for mark in marks {
                @let failed = mark.error.is_some();
                @let note = mark.kind == StimulusKind::Note;
                i.note[note].failed[failed] style=(format!("left:{}", percent(mark.at_ns, span))) title=(describe(mark, span)) {}
            }
        }
    }
}

fn describe(stimulus: &Stimulus, span: Span) -> String {
    let at = units::duration(stimulus.at_ns.saturating_sub(span.from_ns) as f64);
    let error = stimulus.error.as_ref().map_or_else(String::new, |error| format!(" — {error}"));
    format!("{at}: {}{error}", stimulus.text)
}

fn lanes(
    layout: &Layout,
    reports: &[WorkerReport],
    cgroups: &[&str],
    span: Span,
    verdict: &Verdict,
    stimuli: &[Stimulus],
) -> Markup {
    let height = layout.height();
    let findings = if let Verdict::Fail { findings } = verdict { findings.as_slice() } else { &[] };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) preserveAspectRatio="none" height=(height) role="img" aria-label="what ran on each CPU" {
            @for cpu in 0..layout.cpus {
                rect.lane x="0" width=(WIDTH) y=(layout.top(cpu)) height=(layout.lane - 1) {}
            }
            @for ((cpu, cgroup), strokes) in strokes(reports, cgroups, span) {
                @if cpu < layout.cpus {
                    @let y = f64::from(layout.top(cpu)) + f64::from(layout.lane - 1) / 2.0;
                    path.run.(colour(cgroup)) stroke-width=(layout.lane - 1) d=(path(&strokes, y)) {
                        title { (cgroups.get(cgroup).map_or("", |name| cgroup_name(name))) " on CPU " (cpu) }
                    }
                }
            }
            @for stimulus in stimuli {
                @let x = span.x(stimulus.at_ns);
                line.stimulus.phase[stimulus.kind == StimulusKind::Phase] x1=(x) x2=(x) y1="0" y2=(height) {}
            }
            @for report in reports { (gap(layout, report, span)) }
            @for finding in findings {
                @if let Some(window) = finding.window { (blame(layout, finding, window, span)) }
            }
        }
    }
}

/// A worker's longest gap, below what ran in its place.
fn gap(layout: &Layout, report: &WorkerReport, span: Span) -> Markup {
    let Gap { length_ns, from_ns, cpu } = report.longest_gap;
    let (from, to) = (span.x(from_ns), span.x(from_ns.saturating_add(length_ns)));
    html! {
        @if length_ns > span.length_ns / LEAST_GAP && cpu < layout.cpus {
            rect.gap x=(from) width=(to - from) y=(layout.top(cpu) + layout.lane - 4) height="3" {
                title {
                    "longest gap of worker " (report.index) " of " (cgroup_name(&report.cgroup)) ": "
                    (units::duration(length_ns as f64))
                }
            }
        }
    }
}

/// What a finding is about.
fn blame(layout: &Layout, finding: &Finding, window: Window, span: Span) -> Markup {
    let (from, to) = (span.x(window.from_ns), span.x(window.from_ns.saturating_add(window.length_ns)));
    let (y, height) = layout.stripe(window.cpu);
    html! {
        rect.blame x=(from) width=((to - from).max(2)) y=(y) height=(height) { title { (finding) } }
    }
}

fn axis(span: Span) -> Markup {
    let step_ns = step(span.length_ns);
    let ticks = (0..=span.length_ns / step_ns).map(|number| number * step_ns);
    html! {
        div.axis title=(format!("from {:.6} s of guest time", span.from_ns as f64 / 1e9)) {
            @for tick_ns in ticks {
                span style=(format!("left:{}", percent(span.from_ns + tick_ns, span))) { (units::duration(tick_ns as f64)) }
            }
        }
    }
}

/// Ticks at 1, 2 or 5 times a power of ten, at most ten steps of them.
fn step(length_ns: u64) -> u64 {
    let powers = (0..19).map(|power| 10_u64.pow(power));
    let mut steps = powers.flat_map(|power| [1, 2, 5].map(|times| power.saturating_mul(times)));
    steps.find(|step| length_ns / step <= 10).unwrap_or(u64::MAX)
}

fn legend(cgroups: &[&str]) -> Markup {
    html! {
        p.legend {
            @for (number, cgroup) in cgroups.iter().take(MOST_LEGENDS).enumerate() {
                span { i.swatch.(colour(number)) {} (cgroup_name(cgroup)) }
            }
            @if cgroups.len() > MOST_LEGENDS { span.muted { (format!("and {} more", cgroups.len() - MOST_LEGENDS)) } }
            span { i.swatch.gap {} "longest gap of a worker" }
            span { i.swatch.blame {} "what a finding is about" }
        }
    }
}

fn dropped(reports: &[WorkerReport]) -> Markup {
    let dropped: u64 = reports.iter().map(|report| report.runs_dropped).sum();
    html! {
        @if dropped > 0 { p.muted { (dropped) " stretches more could not be kept: later parts of the picture lack them." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (length_ns, expected) in [(2_000_000_000, 200_000_000), (2_200_000_000, 500_000_000), (1, 1), (99, 10)] {
            assert_eq!(step(length_ns), expected, "{length_ns}");
        }
    }
}
