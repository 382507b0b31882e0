//! The results as text for a person.

use super::parse::{Case, Outcome};

/// The most of a test's output that is shown for it, in characters.
const NOTE_CHARS: usize = 100;

/// A line for each test below one of headings.
pub(super) fn render(cases: &[Case]) -> String {
    let rows: Vec<[String; 4]> = std::iter::once(["test", "result", "seconds", "notes"].map(str::to_owned))
        .chain(cases.iter().map(row))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, result, seconds) = (width(0), width(1), width(2));
    let line = |row: &[String; 4]| {
        let line = format!("{:<name$}  {:<result$}  {:>seconds$}  {}", row[0], row[1], row[2], row[3]);
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(case: &Case) -> [String; 4] {
    let seconds = case.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
    [case.name.clone(), case.outcome.word().to_owned(), seconds, note(case)]
}

/// Why it did not pass: a line in which the test says so, else the last that it printed.
fn note(case: &Case) -> String {
    if case.outcome == Outcome::Pass {
        return String::new();
    }
    let said = || case.output.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let reason = said().find(|line| ["ERR:", "SKIP", "Skip", "not ok"].iter().any(|mark| line.starts_with(mark)));
    reason.or(said().next_back()).unwrap_or_default().chars().take(NOTE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_pass_has_a_reason() {
        let case = |name: &str, outcome, seconds, output: &[&str]| Case {
            name: name.to_owned(),
            outcome,
            seconds,
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        let cases = [
            case("minimal", Outcome::Pass, Some(1.25), &["noise"]),
            case("nohz_tick", Outcome::Skip, Some(0.0), &["Skipping test", "more"]),
            case("exit", Outcome::Fail, None, &["libbpf: x", "ERR: exit.c:12", "Failed", ""]),
        ];
        let expected = "\
test       result  seconds  notes
minimal    pass        1.2
nohz_tick  skip        0.0  Skipping test
exit       FAIL          -  ERR: exit.c:12
";
        assert_eq!(render(&cases), expected);
    }
}
