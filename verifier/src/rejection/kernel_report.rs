//! The report that the verifier adds to its message.
//!
//! Source: kernel/bpf/diagnostics.c, from 7.3.

use serde::{Deserialize, Serialize};

const HEAD: &str = "Verification failed: ";

/// What the verifier reports, its line breaks taken out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelReport {
    /// Such as `Memory Safety`.
    pub category: String,
    /// Such as `Access outside bounds`.
    pub problem: String,
    /// Why that is one.
    pub reason: String,
    /// What to do.
    pub suggestion: Option<String>,
    /// Function, file, line and column, as in `f @ x.bpf.c:68:9`; an instruction where there are no sources.
    pub place: Option<String>,
    /// The whole report as it is.
    pub text: String,
}

impl KernelReport {
    /// Parts the lines of a message into those before the report and the report.
    pub(super) fn split<'a>(lines: &[&'a str]) -> (Vec<&'a str>, Option<Self>) {
        let head = lines.iter().position(|line| line.starts_with(HEAD)).unwrap_or(lines.len());
        let message = lines[..head].iter().copied().filter(|line| !line.is_empty()).collect();
        (message, lines.get(head).map(|title| Self::read(title, &lines[head + 1..])))
    }

    fn read(title: &str, lines: &[&str]) -> Self {
        let title_ = title.strip_prefix(HEAD).unwrap_or(title);
        let (category, problem) = title_.split_once(": ").unwrap_or((title_, ""));
        let section = |name: &str| {
            let start = lines.iter().position(|line| *line == name)? + 1;
            let body = lines[start..].iter().take_while(|line| line.starts_with(' ')).map(|line| line.trim());
            Some(body.collect::<Vec<_>>()).filter(|body| !body.is_empty())
        };
        let whole = [title].iter().chain(lines).copied().collect::<Vec<_>>().join("\n");
        Self {
            category: category.to_owned(),
            problem: problem.to_owned(),
            reason: section("Reason:").unwrap_or_default().join(" "),
            suggestion: section("Suggestion:").map(|body| body.join(" ")),
            place: section("At:").and_then(|body| body.first().map(|place| (*place).to_owned())),
            text: whole.trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_report() {
        let text = "R6 max value is outside\n\nVerification failed: Memory Safety: Access outside bounds\n\nReason:\n  a\n  b.\n\nAt:\n  f @ x.c:6:9\n  Source context:\n      66 | x\n\nSuggestion:\n  do\n  it.\n";
        let (message, report) = KernelReport::split(&text.lines().collect::<Vec<_>>());
        let report = report.expect("a report");
        assert_eq!(message, ["R6 max value is outside"]);
        assert_eq!((report.category.as_str(), report.problem.as_str()), ("Memory Safety", "Access outside bounds"));
        assert_eq!((report.reason.as_str(), report.suggestion.as_deref()), ("a b.", Some("do it.")));
        assert_eq!(report.place.as_deref(), Some("f @ x.c:6:9"));
        assert!(report.text.starts_with(HEAD) && report.text.ends_with("it."));
    }

    #[test]
    fn none_and_a_cut_one() {
        assert_eq!(KernelReport::split(&["a", "", "b"]), (vec!["a", "b"], None));
        let (message, report) = KernelReport::split(&["Verification failed: Policy"]);
        let report = report.expect("a report");
        assert!(message.is_empty() && report.suggestion.is_none() && report.place.is_none());
        assert_eq!((report.category.as_str(), report.problem.as_str(), report.reason.as_str()), ("Policy", "", ""));
    }
}
