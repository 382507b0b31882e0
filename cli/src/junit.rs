//! A run as JUnit XML, for what shows test results in CI.
//!
//! `Fail` is a `failure`, `Skip` is `skipped`; `Inconclusive`, and whatever has no record, is an `error`.

use crate::runs::Case;
use anyhow::{Context, Result};
use ktstr::{Record, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Writes a run's cases into a file.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(path: &Path, run: &str, cases: &[Case<'_>]) -> Result<()> {
    let text = render(run, cases)?;
    fs::write(path, text).with_context(|| format!("cannot write the JUnit report {}", path.display()))
}

fn render(run: &str, cases: &[Case<'_>]) -> Result<String> {
    let mut suite = TestSuite::new(visible(run));
    suite.add_test_cases(cases.iter().map(test_case));
    let time = suite.test_cases.iter().filter_map(|case| case.time).sum();
    suite.set_time(time);
    let mut report = Report::new("ktstr");
    report.add_test_suite(suite).set_time(time);
    report.to_string().context("cannot make XML of the results")
}

fn test_case(case: &Case<'_>) -> TestCase {
    let mut test = TestCase::new(visible(&case.name), status(&case.verdict));
    test.set_classname(visible(case.name.rsplit_once("::").map_or("ktstr", |(module, _)| module)));
    if let Some(record) = case.record {
        test.set_time(Duration::from_secs_f64(record.host.time.total_ms().max(0.0) / 1e3));
        test.add_properties(properties(record));
        test.set_system_out(visible(&record.guest.output));
        test.set_system_err(visible(&record.guest.console));
    }
    test
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    let (mut status, kind, message) = match verdict {
        Verdict::Pass => return TestCaseStatus::success(),
        Verdict::Skip { reason } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(visible(reason));
            return status;
        }
        Verdict::Inconclusive { reason } => {
            (TestCaseStatus::non_success(NonSuccessKind::Error), "inconclusive", reason.as_str())
        }
        Verdict::Fail { findings } => {
            let first = findings.first();
            let kind = first.map_or("fail", |finding| finding.asserted.as_str());
            let message = first.map_or("", |finding| finding.measured.as_str());
            (TestCaseStatus::non_success(NonSuccessKind::Failure), kind, message)
        }
    };
    status.set_type(visible(kind));
    status.set_message(visible(message));
    status.set_description(visible(&verdict.to_string()));
    status
}

fn properties(record: &Record) -> Vec<(String, String)> {
    let kernel = record.kernel.as_ref().map(|kernel| ("kernel", kernel.id.clone()));
    let accel = record.accel.map(|accel| ("accel", accel.to_string()));
    let always = [("topology", record.machine.topology.to_string()), ("seed", record.seed.to_string())];
    let all = always.into_iter().chain(kernel).chain(accel);
    all.map(|(name, value)| (name.to_owned(), visible(&value))).collect()
}

/// The text with signs for the characters that XML 1.0 has no way to say (section 2.2), so that a reader sees that they
/// were there.
fn visible(text: &str) -> String {
    let sign = |c: char| match c {
        '\t' | '\n' | '\r' => c,
        // The control pictures are in the order of the characters they stand for.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    };
    text.chars().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::cases;
    use crate::runs::tests::{each_verdict, record, run};
    use ktstr::Finding;
    use roxmltree::{Document, Node};

    const HOSTILE: &str = "</failure>]]>&amp;<!-- \"'\u{1b}[31mred\u{0}\u{b}\u{ffff} ünïcode\r\n\ttab";

    fn element<'a>(document: &'a Document<'_>, name: &str) -> Node<'a, 'a> {
        document.descendants().find(|node| node.has_tag_name(name)).unwrap()
    }

    #[test]
    fn every_verdict_has_its_element() {
        let run = each_verdict();
        let text = render("run-1", &cases(&run, &["e".to_owned()], false)).unwrap();
        let document = Document::parse(&text).unwrap();
        let suite = element(&document, "testsuite");
        let counts = ["tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap());
        assert_eq!(counts, ["5", "1", "2", "1"]);
        let first = element(&document, "testcase");
        assert_eq!((first.attribute("name"), first.attribute("classname")), (Some("steady::a"), Some("steady")));
        assert_eq!(first.attribute("time"), Some("3.504"));
        let failure = element(&document, "failure");
        assert_eq!((failure.attribute("type"), failure.attribute("message")), (Some("max_gap_ms"), Some("1.2 s")));
        assert_eq!(failure.text(), Some("Fail\n  max_gap_ms: 1.2 s\n    cpu 3"));
        assert_eq!(element(&document, "skipped").attribute("message"), Some("one CPU"));
        let errors: Vec<_> = document.descendants().filter(|node| node.has_tag_name("error")).collect();
        assert_eq!(errors[0].attribute("message"), Some("no kernel"));
        assert!(errors[1].attribute("message").unwrap().starts_with("there is no record"));
    }

    #[test]
    fn hostile_text_stays_text() {
        let mut hostile = record(HOSTILE, Verdict::Fail { findings: vec![Finding::new(HOSTILE, HOSTILE)] });
        hostile.guest.console = HOSTILE.to_owned();
        let run = run([hostile, record("after", Verdict::Skip { reason: HOSTILE.into() })]);
        let text = render(HOSTILE, &cases(&run, &[], false)).unwrap();
        let document = Document::parse(&text).unwrap();
        assert_eq!(document.descendants().filter(|node| node.has_tag_name("testcase")).count(), 2);
        let console = element(&document, "system-err").text().unwrap();
        let kept = "</failure>]]>&amp;<!-- \"'␛[31mred␀␋\u{fffd} ünïcode";
        assert!(console.starts_with(kept) && console.ends_with("tab"), "{console:?}");
        assert!(element(&document, "failure").text().unwrap().contains(kept));
    }
}
