//! Processor time of a build, crate by crate: a wrapper around the compiler keeps the books.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `times` (POSIX) prints the shell's own times, then those of the compiler, which was its only child.
const WRAPPER: &str = r#"#!/bin/sh
name=unnamed; last=
for word in "$@"; do [ "$last" = --crate-name ] && name=$word; last=$word; done
"$@"; code=$?
times > "$0.$$"
echo "$name $(tail -n 1 "$0.$$")" >> "$0.log"
exit $code
"#;

/// The wrapper, in a directory of the caller's.
pub(super) struct Wrapper {
    /// The program for `RUSTC_WRAPPER`.
    pub(super) program: PathBuf,
}

impl Wrapper {
    /// Puts it into `dir`.
    ///
    /// # Errors
    /// What writing returned.
    pub(super) fn put(dir: &Path) -> Result<Self> {
        let program = dir.join("rustc-wrapper");
        let done = std::fs::write(&program, WRAPPER)
            .and_then(|()| std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)));
        done.with_context(|| format!("cannot write {}", program.display()))?;
        Ok(Self { program })
    }

    /// The crates so far with their seconds, the greatest first.
    ///
    /// # Errors
    /// When nothing was compiled.
    pub(super) fn cpu_s(&self) -> Result<Vec<(String, f64)>> {
        let log = self.program.with_extension("log");
        let text = std::fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
        Ok(parse(&text))
    }
}

fn parse(log: &str) -> Vec<(String, f64)> {
    let mut sums = BTreeMap::<&str, f64>::new();
    for line in log.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { continue };
        *sums.entry(name).or_default() += words.filter_map(seconds).sum::<f64>();
    }
    let mut sums: Vec<_> = sums.into_iter().map(|(name, seconds)| (name.to_owned(), seconds)).collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1));
    sums
}

/// `1m2.50s` in seconds.
fn seconds(text: &str) -> Option<f64> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(minutes.parse::<f64>().ok()? * 60.0 + seconds.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_a_crate_that_was_compiled_twice() {
        let sums = parse("syn 0m1.50s 0m0.25s\nlibc 0m0.1s 0m0.0s\nsyn 1m2.000000s 0m0.250000s\n");
        assert_eq!(sums, [("syn".to_owned(), 64.0), ("libc".to_owned(), 0.1)]);
    }
}
