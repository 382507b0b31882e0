//! What the runner of `tools/testing/selftests/sched_ext` prints.
//!
//! Source: its `runner.c`. For each test it prints a preamble, the test's own output and one line of result:
//!
//! ```text
//! ===== START =====
//! TEST: minimal
//! DESCRIPTION: Verify we can load a fully minimal scheduler
//! OUTPUT:
//! ok 16 minimal #
//! =====  END  =====
//! ```
//!
//! and at the end how many passed, were skipped and failed. It writes a preamble out at once and the rest when it will, so the
//! time between two preambles is a test's time.

use std::time::Duration;

const START: &str = "===== START =====";
const END: &str = "=====  END  =====";

/// A line, and when it came.
pub(super) type Line = (Duration, String);

/// How a test came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Pass,
    Skip,
    Fail,
    /// It began, and has no result that can be understood.
    Unknown,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skip => "skip",
            Self::Fail => "FAIL",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    /// From its preamble to the next; `None` while there is none.
    pub(super) seconds: Option<f64>,
    /// What it and the libraries in it printed.
    pub(super) output: Vec<String>,
}

/// The runner's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub(super) struct Totals {
    pub(super) passed: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
}

/// All that was understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Parsed {
    pub(super) cases: Vec<Case>,
    /// `None` when it did not come to that.
    pub(super) totals: Option<Totals>,
}

/// Reads what the runner has printed.
pub(super) fn parse(lines: &[Line]) -> Parsed {
    let starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].1 == START).collect();
    let mut parsed = Parsed::default();
    for (number, &start) in starts.iter().enumerate() {
        let next = starts.get(number + 1).copied();
        let own = lines.get(start..next.unwrap_or(lines.len())).unwrap_or_default();
        let mut case = case(own);
        let (began, ended) = (lines[start].0, next.and_then(|next| lines.get(next)).or(lines.last()));
        let finished = case.outcome != Outcome::Unknown;
        case.seconds = ended.filter(|_| finished).map(|(at, _)| at.saturating_sub(began).as_secs_f64());
        parsed.cases.push(case);
    }
    parsed.totals = totals(lines);
    parsed
}

/// A test's lines, from its preamble on.
fn case(lines: &[Line]) -> Case {
    let texts = || lines.iter().map(|(_, text)| text.as_str());
    let name = texts().find_map(|text| text.strip_prefix("TEST: ")).unwrap_or_default().to_owned();
    // A test may print lines that look like results; its own result has its name, and is the last of them.
    let result = texts().rev().find_map(|text| outcome(text, &name));
    let body = texts().skip_while(|text| *text != "OUTPUT:").skip(1).take_while(|text| *text != END);
    let output = body.filter(|text| outcome(text, &name).is_none()).map(str::to_owned).collect();
    Case { name, outcome: result.unwrap_or(Outcome::Unknown), seconds: None, output }
}

/// The outcome in `ok 18 nohz_tick # SKIP`, if the line is the result of the test of that name.
fn outcome(line: &str, name: &str) -> Option<Outcome> {
    let (is_ok, rest) = match line.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ')?;
    number.parse::<u64>().ok()?;
    let (found, directive) = rest.split_once(" #")?;
    match (is_ok, directive.trim()) {
        _ if found != name || name.is_empty() => None,
        (true, "SKIP") => Some(Outcome::Skip),
        (true, "") => Some(Outcome::Pass),
        (false, "") => Some(Outcome::Fail),
        _ => None,
    }
}

fn totals(lines: &[Line]) -> Option<Totals> {
    let after = lines.iter().rposition(|(_, text)| text == "RESULTS:")?;
    let number = |word: &str| {
        let texts = lines[after..].iter().map(|(_, text)| text.as_str());
        texts.filter_map(|text| text.strip_prefix(word)).find_map(|rest| rest.trim().parse().ok())
    };
    Some(Totals { passed: number("PASSED:")?, skipped: number("SKIPPED:")?, failed: number("FAILED:")? })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
