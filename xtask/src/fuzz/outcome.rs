//! What libFuzzer says in the end (LLVM docs, LibFuzzer, Output).

use std::fmt;

/// The end of one run.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome {
    /// Inputs that were tried.
    runs: u64,
    /// Places in the code that were reached.
    coverage: u64,
    /// What was found, and the file that has the input.
    finding: Option<(String, Option<String>)>,
}

impl Outcome {
    /// Reads what was printed; `well` is how the process ended.
    pub(super) fn read(text: &str, well: bool) -> Self {
        let mut outcome = Self::default();
        for line in text.lines().filter(|line| line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            outcome.runs = words.next().and_then(|word| word[1..].parse().ok()).unwrap_or(outcome.runs);
            let coverage = words.skip_while(|word| *word != "cov:").nth(1).and_then(|word| word.parse().ok());
            outcome.coverage = coverage.unwrap_or(outcome.coverage);
        }
        if !well {
            let after = |key: &str| text.lines().find_map(|line| Some(line.split_once(key)?.1.trim().to_owned()));
            let panicked = text.lines().skip_while(|line| !line.contains("panicked at")).take(2).collect::<Vec<_>>();
            let what = if panicked.is_empty() { after("ERROR: ") } else { Some(panicked.join(" ")) };
            let what = what.unwrap_or_else(|| text.lines().last().unwrap_or_default().to_owned());
            outcome.finding = Some((what, after("Test unit written to ")));
        }
        outcome
    }

    /// Whether any input was tried.
    pub(super) fn has_run(&self) -> bool {
        self.runs > 0
    }

    /// Whether nothing was found.
    pub(super) fn is_clean(&self) -> bool {
        self.finding.is_none()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} inputs, {:>5} places reached", self.runs, self.coverage)?;
        match &self.finding {
            None => Ok(()),
            Some((what, None)) => write!(f, ": {what}"),
            Some((what, Some(file))) => write!(f, ": {what}\n    again with --input {file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "INFO: seed corpus: files: 2\n#3\tINITED cov: 50 ft: 60 corp: 2/9b exec/s: 0 rss: 30Mb\n\
                        #900\tDONE   cov: 71 ft: 80 corp: 3/12b lim: 4 exec/s: 0 rss: 31Mb\nDone 900 runs in 2 second(s)\n";

    #[test]
    fn a_quiet_run_is_clean() {
        let outcome = Outcome::read(GOOD, true);
        assert_eq!(outcome, Outcome { runs: 900, coverage: 71, finding: None });
        assert!(outcome.is_clean() && outcome.has_run());
    }

    #[test]
    fn a_finding_is_shown_with_its_input() {
        let bad = "thread '<unnamed>' (1) panicked at a.rs:1:2:\nindex out of bounds\nstack\n==1== ERROR: libFuzzer: deadly \
                   signal\nTest unit written to /f/ring-crash-1\n";
        let outcome = Outcome::read(&[GOOD, bad].concat(), false);
        let shown = outcome.to_string();
        assert!(
            shown.contains("a.rs:1:2: index out of bounds") && shown.ends_with("--input /f/ring-crash-1"),
            "{shown}"
        );
        let slow = Outcome::read("#3\tINITED cov: 50\n==1== ERROR: libFuzzer: timeout after 10 seconds\n", false);
        assert!(slow.to_string().contains("libFuzzer: timeout after 10 seconds"), "{slow}");
        assert!(!Outcome::read("", false).has_run());
    }
}
