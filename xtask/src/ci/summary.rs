//! The last words of a test runner.

use std::fmt;

/// How many tests came out how, and the runner's own words for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// Tests that passed.
    pub(super) passed: u64,
    words: String,
}

impl Summary {
    /// From the line `Summary [ 1.2s] 3 tests run: 2 passed, 1 failed, 4 skipped`; the failures are listed after it.
    pub(super) fn of_nextest(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let is_summary = |line: &&str| line.trim_start().starts_with("Summary [");
        let Some(at) = lines.iter().rposition(is_summary) else { return Self::default() };
        let words = lines.get(at..).unwrap_or_default();
        let passed = words.first().map_or(0, |line| number_before(line, "passed"));
        Self { passed, words: words.join("\n") }
    }

    /// From the lines `test result: ok. 2 passed; 0 failed; 1 ignored; …` that each test program ends with: one such line
    /// for all of them.
    pub(super) fn of_libtest(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("test result: ")).collect();
        let sum = |word: &str| lines.iter().map(|line| number_before(line, word)).sum::<u64>();
        let (passed, failed, ignored) = (sum("passed"), sum("failed"), sum("ignored"));
        let how = if failed == 0 && !lines.is_empty() { "ok" } else { "FAILED" };
        let rest = format!("{} measured; {} filtered out", sum("measured"), sum("filtered"));
        Self {
            passed,
            words: format!("test result: {how}. {passed} passed; {failed} failed; {ignored} ignored; {rest}"),
        }
    }
}

/// The number in `… 12 passed …`.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';', ',']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|other| *other == word);
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words.as_str() {
            "" => f.write_str("no test runner has said anything"),
            words => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nextest_ends_with_what_failed() {
        let text = "PASS a\n────\n     Summary [   0.121s] 3 tests run: 2 passed, 1 failed, 4 skipped\n        FAIL b\nerror: test run failed\n";
        let summary = Summary::of_nextest(text);
        assert_eq!(summary.passed, 2);
        assert!(summary.to_string().starts_with("     Summary [") && summary.to_string().ends_with("run failed"));
    }

    #[test]
    fn libtest_says_it_for_each_program() {
        let text = "\
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 5 filtered out; finished in 0.00s";
        let summary = Summary::of_libtest(text);
        assert_eq!(summary.passed, 3);
        assert_eq!(
            summary.to_string(),
            "test result: FAILED. 3 passed; 3 failed; 1 ignored; 0 measured; 5 filtered out"
        );
    }

    #[test]
    fn a_runner_that_died_has_no_summary() {
        assert_eq!(Summary::of_nextest("error: could not compile"), Summary::default());
        assert!(Summary::of_libtest("").to_string().starts_with("test result: FAILED. 0 passed"));
    }
}
