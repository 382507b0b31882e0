//! Numbers in what a program printed.

use crate::error::Error;
use regex_lite::Regex;
use serde::{Deserialize, Serialize};

/// A number that a program prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name in the record.
    pub name: String,
    /// A regular expression. Where it matches first, in standard output or else in standard error, its first group, or
    /// all of it when it has none, is the number. `(?m)` lets `^` and `$` match at lines.
    pub pattern: String,
}

impl Metric {
    /// The pattern, if it is one.
    pub(super) fn regex(&self) -> Result<Regex, Error> {
        Regex::new(&self.pattern).map_err(|source| Error::Pattern {
            metric: self.name.clone(),
            pattern: self.pattern.clone(),
            source,
        })
    }

    /// The number in these texts, or why there is none.
    pub(super) fn read(&self, texts: [&str; 2]) -> Result<f64, String> {
        let regex = self.regex().map_err(|error| error.to_string())?;
        let captures = texts.iter().find_map(|text| regex.captures(text));
        let Some(captures) = captures else {
            return Err(format!("nothing in its output matches {:?}", self.pattern));
        };
        let text = captures.get(1).or_else(|| captures.get(0)).map_or("", |found| found.as_str());
        match text.trim().parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => Err(format!("what {:?} matches in its output is no number: {text:?}", self.pattern)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, stdout: &str, stderr: &str, expected: Result<f64, &str>) {
        let read = Metric { name: "m".into(), pattern: pattern.into() }.read([stdout, stderr]);
        match expected {
            Ok(number) => assert_eq!(read, Ok(number), "{pattern}"),
            Err(part) => assert!(read.as_ref().is_err_and(|why| why.contains(part)), "{pattern}: {read:?}"),
        }
    }

    #[test]
    fn the_first_match_counts_and_standard_output_first() {
        check(r"Time: ([0-9.]+)", "Time: 1.25\nTime: 3\n", "Time: 9", Ok(1.25));
        check(r"Time: ([0-9.]+)", "nothing", "Time: 9", Ok(9.0));
        check(r"[0-9]+", "took 12 s", "", Ok(12.0));
        check(r"(?m)^max\s+(-?\d+e\d)$", "min 1\nmax  -2e3\n", "", Ok(-2000.0));
    }

    #[test]
    fn what_is_no_number_is_none() {
        check(r"Time: ([0-9.]+)", "", "", Err("nothing in its output matches"));
        check(r"Time: (\S+)", "Time: unknown", "", Err("is no number: \"unknown\""));
        check(r"Time: (\S+)", "Time: inf", "", Err("is no number"));
        check(r"(", "", "", Err("no regular expression"));
    }
}
