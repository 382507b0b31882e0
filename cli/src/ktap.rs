//! A run as KTAP version 1, the kernel's own format (Documentation/dev-tools/ktap.rst).
//!
//! `Fail` and `Inconclusive` are `not ok`, with all there is to say in diagnostic lines before; `Skip` is `ok … # SKIP`.

use crate::runs::Case;
use ktstr::Verdict;
use std::fmt::Write as _;

/// A run's cases, one result each.
pub(crate) fn render(cases: &[Case<'_>]) -> String {
    let mut text = format!("KTAP version 1\n1..{}\n", cases.len());
    for (number, case) in (1..).zip(cases) {
        diagnostics(&case.verdict).iter().for_each(|line| text.push_str(&format!("# {line}\n")));
        let (result, directive) = match &case.verdict {
            Verdict::Pass => ("ok", String::new()),
            Verdict::Skip { reason } => ("ok", format!(" # SKIP {}", one_line(reason))),
            Verdict::Fail { .. } | Verdict::Inconclusive { .. } => ("not ok", String::new()),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{result} {number} {}{directive}", one_line(&case.name));
    }
    text
}

fn diagnostics(verdict: &Verdict) -> Vec<String> {
    let all = match verdict {
        Verdict::Pass | Verdict::Skip { .. } => return Vec::new(),
        Verdict::Inconclusive { reason } => format!("inconclusive: {reason}"),
        Verdict::Fail { findings } => findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    };
    all.lines().map(without_controls).collect()
}

/// A description: within its line, and with nothing in it that begins a directive.
fn one_line(text: &str) -> String {
    without_controls(text).replace('#', "_")
}

fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::cases;
    use crate::runs::tests::{each_verdict, record, run};

    /// A result line as the specification has it.
    #[derive(Debug, PartialEq)]
    struct Parsed {
        ok: bool,
        description: String,
        skip: Option<String>,
        diagnostics: Vec<String>,
    }

    /// Takes what the specification allows, with a plan and with nothing unknown.
    fn parse(text: &str) -> Vec<Parsed> {
        assert!(text.ends_with('\n'));
        let mut lines = text.split_terminator('\n');
        assert_eq!(lines.next(), Some("KTAP version 1"));
        let plan: usize = lines.next().unwrap().strip_prefix("1..").unwrap().parse().unwrap();
        let (mut results, mut diagnostics) = (Vec::new(), Vec::new());
        for line in lines {
            assert!(!line.contains(|c: char| c.is_control()), "{line:?}");
            if let Some(diagnostic) = line.strip_prefix("# ") {
                diagnostics.push(diagnostic.to_owned());
                continue;
            }
            let (ok, rest) = match line.strip_prefix("not ok ") {
                Some(rest) => (false, rest),
                None => (true, line.strip_prefix("ok ").unwrap_or_else(|| panic!("{line:?} is unknown"))),
            };
            let (number, rest) = rest.split_once(' ').unwrap();
            assert_eq!(number.parse(), Ok(results.len() + 1));
            let (description, directive) = rest.split_once('#').map_or((rest, None), |(a, b)| (a, Some(b)));
            let skip = directive.map(|directive| directive.strip_prefix(" SKIP ").unwrap().to_owned());
            let diagnostics = std::mem::take(&mut diagnostics);
            results.push(Parsed { ok, description: description.trim_end().to_owned(), skip, diagnostics });
        }
        assert_eq!((results.len(), diagnostics.len()), (plan, 0));
        results
    }

    fn parsed(ok: bool, description: &str, skip: Option<&str>, diagnostics: &[&str]) -> Parsed {
        let diagnostics = diagnostics.iter().map(|line| (*line).to_owned()).collect();
        Parsed { ok, description: description.to_owned(), skip: skip.map(str::to_owned), diagnostics }
    }

    #[test]
    fn every_verdict_has_its_line() {
        let run = each_verdict();
        assert_eq!(
            parse(&render(&cases(&run, &[], false))),
            [
                parsed(true, "steady::a", None, &[]),
                parsed(false, "b", None, &["max_gap_ms: 1.2 s", "    cpu 3"]),
                parsed(true, "c", Some("one CPU"), &[]),
                parsed(false, "d", None, &["inconclusive: no kernel"]),
            ]
        );
    }

    #[test]
    fn hostile_text_makes_no_line_of_its_own() {
        let hostile = "x # SKIP all\r\nok 7 y\n\n\u{1b}[31m#";
        let inconclusive = Verdict::Inconclusive { reason: hostile.into() };
        let run = run([record(hostile, inconclusive), record("b", Verdict::Skip { reason: hostile.into() })]);
        let results = parse(&render(&cases(&run, &[], false)));
        assert_eq!(results[0].description, "x _ SKIP all  ok 7 y   [31m_");
        assert!(!results[0].ok && results[0].skip.is_none());
        assert_eq!(results[0].diagnostics[1], "ok 7 y");
        assert_eq!(results[1].skip.as_deref(), Some("x _ SKIP all  ok 7 y   [31m_"));
    }

    #[test]
    fn nothing_at_all_is_not_ok() {
        assert!(!parse(&render(&cases(&run([]), &[], true)))[0].ok);
    }
}
