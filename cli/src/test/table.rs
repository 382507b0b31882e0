//! Records as text for a person.

use ktstr::{Record, SchedulerClass, SchedulerPart, Verdict};

const HEAD: [&str; 17] = [
    "test",
    "preset",
    "profile",
    "replica",
    "seed",
    "scheduler",
    "verdict",
    "topology",
    "kernel",
    "accel",
    "resolve",
    "pack",
    "boot",
    "ready",
    "run",
    "teardown",
    "total",
];
/// Columns from here on are numbers.
const FIRST_NUMBER: usize = 10;
/// What stands for a thing that there is not.
const UNKNOWN: &str = "-";
/// The machine, if it is not the declared one, and the profile, if its scheduler has flags.
const NAMED: std::ops::Range<usize> = 1..3;
/// Columns that are left out where they tell no record from another: replica and seed.
const COUNTED: std::ops::Range<usize> = 3..5;
/// The scheduler under test, if it is not the kernel's own.
const SCHEDULER: usize = 5;

/// One line for each record below a line of headings; times are in seconds.
pub(super) fn render<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(records.map(row));
    if rows.len() == 1 {
        return String::new();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; HEAD.len()] = std::array::from_fn(width);
    let tells = |column: usize| rows[1..].iter().any(|row| row[column] != rows[1][column]);
    let shown: [bool; HEAD.len()] = std::array::from_fn(|column| match column {
        column if NAMED.contains(&column) || column == SCHEDULER => rows[1..].iter().any(|row| row[column] != UNKNOWN),
        column => !COUNTED.contains(&column) || tells(column),
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate().filter(|(column, _)| shown[*column]);
        let cells = cells.map(|(column, (cell, width))| match column {
            FIRST_NUMBER.. => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text.push_str("(times in seconds; topology is nodes,LLCs,cores per LLC,threads per core)\n");
    text
}

fn row(record: &Record) -> [String; HEAD.len()] {
    let unknown = || UNKNOWN.to_owned();
    let time = &record.host.time;
    let seconds = |ms: f64| format!("{:.2}", ms / 1e3);
    [
        record.test.clone(),
        record.preset.clone().unwrap_or_else(unknown),
        record.profile.as_ref().map_or_else(unknown, ToString::to_string),
        record.replica.to_string(),
        record.seed.to_string(),
        scheduler(record),
        record.verdict.word().to_owned(),
        record.machine.topology.to_string(),
        record.kernel.as_ref().map_or_else(unknown, |kernel| kernel.release.clone()),
        record.accel.map_or_else(unknown, |accel| accel.to_string()),
        seconds(time.resolve_ms),
        seconds(time.pack_ms),
        seconds(time.boot_ms),
        seconds(time.ready_ms),
        seconds(time.run_ms),
        seconds(time.teardown_ms),
        seconds(time.total_ms()),
    ]
}

/// The scheduler under test and, where one that was started ended badly, how.
fn scheduler(record: &Record) -> String {
    let runs = &record.guest.schedulers;
    if runs.is_empty() && record.scheduler == SchedulerPart::default() {
        return UNKNOWN.to_owned();
    }
    let bad = runs.iter().map(|run| run.exit.class).find(|class| *class != SchedulerClass::Clean);
    bad.map_or_else(|| record.scheduler.name.clone(), |class| format!("{}: {class}", record.scheduler.name))
}

/// What there is to say about a record that is no pass.
pub(super) fn reasons(record: &Record) -> Option<String> {
    match &record.verdict {
        Verdict::Pass => None,
        other => Some(format!("{}: {other}\n", record.title())),
    }
}

/// A line for each reason for which an accelerator was chosen.
pub(super) fn accelerators<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<String> {
    let reasons = records.map(|record| record.host.accel_reason.as_str()).filter(|reason| !reason.is_empty());
    let mut lines: Vec<String> = reasons.map(|reason| format!("accelerator: {reason}")).collect();
    lines.sort();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::tests::record;
    use ktstr::{Finding, SchedulerExit, SchedulerRun};

    #[test]
    fn columns_line_up() {
        let text =
            render([record("a_longer_name", Verdict::Pass), record("b", Verdict::Fail { findings: vec![] })].iter());
        let expected = "\
test           verdict  topology  kernel  accel  resolve  pack  boot  ready   run  teardown  total
a_longer_name  Pass     1,1,2,1   7.3.4   tcg       0.00  0.00  1.50   0.00  2.00      0.00   3.50
b              Fail     1,1,2,1   7.3.4   tcg       0.00  0.00  1.50   0.00  2.00      0.00   3.50
";
        assert_eq!(text.rsplit_once("(times").unwrap().0, expected);
    }

    #[test]
    fn variants_are_told_apart() {
        let whole = record("a", Verdict::Pass);
        let on = |preset: &str, replica, seed| Record {
            preset: Some(preset.to_owned()),
            replica,
            seed,
            ..record("a", Verdict::Pass)
        };
        let head = |records: &[Record]| render(records.iter()).split("  verdict").next().unwrap().to_owned();
        let preset = on("tiny-1llc", 0, 1);
        assert_eq!(head(std::slice::from_ref(&preset)), "test  preset   ");
        assert_eq!(head(&[whole, preset]), "test  preset   ");
        let text = render([on("tiny-1llc", 0, 1), on("tiny-1llc", 1, 77)].iter());
        assert!(text.starts_with("test  preset     replica  seed  verdict"), "{text}");
        assert!(text.contains("a     tiny-1llc  1        77    Pass"), "{text}");
        let with = Record { profile: Some("llc+steal".parse().unwrap()), ..record("a", Verdict::Pass) };
        assert_eq!(head(&[with, record("b", Verdict::Pass)]), "test  profile  ");
    }

    #[test]
    fn a_scheduler_is_shown_where_there_is_one() {
        let exit = SchedulerExit { class: SchedulerClass::Stalled, ..SchedulerExit::default() };
        let mut with = record("a", Verdict::Pass);
        with.scheduler.name = "qmap".to_owned();
        let mut stalled = with.clone();
        stalled.guest.schedulers.push(SchedulerRun { exit, ..SchedulerRun::default() });
        let text = render([record("a", Verdict::Pass), with, stalled].iter());
        assert!(text.starts_with("test  scheduler                  verdict"), "{text}");
        for row in [
            "a     -                          Pass",
            "a     qmap                       Pass",
            "qmap: runnable task stall",
        ] {
            assert!(text.contains(row), "{row} is not in {text}");
        }
    }

    #[test]
    fn what_is_unknown_is_a_dash() {
        let record = Record { kernel: None, accel: None, ..record("a", Verdict::Pass) };
        assert!(render([record].iter()).contains("a     Pass     1,1,2,1   -       -  "));
    }

    #[test]
    fn no_pass_goes_unexplained() {
        let findings = vec![Finding::new("not_starved", "worker 7 ran 0 ms")];
        assert_eq!(
            reasons(&record("a", Verdict::Fail { findings })).unwrap(),
            "a: Fail\n  not_starved: worker 7 ran 0 ms\n"
        );
        assert_eq!(reasons(&record("a", Verdict::Pass)), None);
    }

    #[test]
    fn each_accelerator_is_said_once() {
        let records = [record("a", Verdict::Pass), record("b", Verdict::Pass)];
        assert_eq!(accelerators(records.iter()), ["accelerator: tcg: asked for; QEMU 7.2"]);
    }
}
