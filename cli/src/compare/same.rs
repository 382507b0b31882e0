//! Whether two runs are the same, record for record: what the guest did, to the last nanosecond.

use crate::runs::Run;
use ktstr::Record;
use std::collections::BTreeMap;

/// In what they are not, a line for each record.
pub(super) fn differences(before: &Run, after: &Run) -> Vec<String> {
    let damaged = before.damaged.iter().chain(&after.damaged);
    let mut lines: Vec<String> = damaged.map(|damaged| format!("{}: {}", damaged.file, damaged.why)).collect();
    let (first, mut second) = (by_file(before), by_file(after));
    for (file, record) in first {
        match second.remove(file) {
            None => lines.push(format!("{file}: only before")),
            Some(other) => lines.extend(difference(record, other).map(|what| format!("{file}: {what}"))),
        }
    }
    lines.extend(second.into_keys().map(|file| format!("{file}: only after")));
    lines
}

fn by_file(run: &Run) -> BTreeMap<&str, &Record> {
    run.whole.iter().map(|entry| (entry.file.as_str(), &entry.record)).collect()
}

/// The first line in which the guest's parts differ.
fn difference(before: &Record, after: &Record) -> Option<String> {
    let (before, after) = (text(before), text(after));
    let first = before.lines().zip(after.lines()).enumerate().find(|(_, (before, after))| before != after);
    match first {
        Some((number, (before, after))) => {
            Some(format!("line {}: {} is {} after", number + 1, before.trim(), after.trim()))
        }
        None => (before.len() != after.len()).then(|| "one goes on where the other ends".to_owned()),
    }
}

fn text(record: &Record) -> String {
    serde_json::to_string_pretty(&record.of_guest()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::Entry;
    use crate::runs::tests::record;
    use ktstr::Verdict;

    fn run(records: &[(&str, Record)]) -> Run {
        let entry = |(file, record): &(&str, Record)| Entry { file: (*file).to_owned(), record: record.clone() };
        Run { whole: records.iter().map(entry).collect(), ..Run::default() }
    }

    #[test]
    fn only_the_hosts_part_may_differ() {
        let one = record("a", Verdict::Pass);
        let mut other = one.clone();
        other.host.time.boot_ms = 7.0;
        assert!(differences(&run(&[("a.json", one.clone())]), &run(&[("a.json", other.clone())])).is_empty());
        other.guest.output.push('x');
        let lines = differences(&run(&[("a.json", one.clone())]), &run(&[("a.json", other)]));
        assert!(lines.len() == 1 && lines[0].starts_with("a.json: line "), "{lines:?}");
        let lines = differences(&run(&[("a.json", one.clone())]), &run(&[("b.json", one)]));
        assert_eq!(lines, ["a.json: only before", "b.json: only after"]);
    }
}
