//! Steps, and how they went.

use anyhow::Result;
use std::fmt;
use std::time::{Duration, Instant};

/// The steps so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    name: &'static str,
    took: Duration,
    error: Option<String>,
}

impl Report {
    /// Takes a step; what it gave, unless it failed.
    pub(super) fn step<T>(&mut self, name: &'static str, body: impl FnOnce() -> Result<T>) -> Option<T> {
        println!("\n==> {name}");
        let began = Instant::now();
        let result = body();
        let error = result.as_ref().err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            eprintln!("error: {name}: {error}");
        }
        self.steps.push(Step { name, took: began.elapsed(), error });
        result.ok()
    }

    /// Whether no step has failed.
    pub(super) fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.error.is_none())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        for step in &self.steps {
            let how = step.error.as_deref().map_or("ok".to_owned(), |error| format!("FAILED: {error}"));
            let seconds = step.took.as_secs_f64();
            writeln!(f, "{:<width$}  {seconds:>7.1} s  {how}", step.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_are_taken_and_every_failure_is_listed() {
        let mut report = Report::default();
        assert_eq!(report.step("one", || Ok(1)), Some(1));
        assert!(report.passed());
        assert_eq!(report.step("second", || anyhow::bail!("no disk")), None::<()>);
        assert_eq!(report.step("third", || anyhow::bail!("no net")), None::<()>);
        assert_eq!(report.step("last", || Ok(())), Some(()));
        assert!(!report.passed());
        let text = report.to_string();
        assert!(text.contains("one         0.0 s  ok\n"), "{text}");
        assert!(text.contains("FAILED: no disk\n") && text.contains("FAILED: no net\n"), "{text}");
        assert_eq!(text.lines().count(), 4);
    }
}
