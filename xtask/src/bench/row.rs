//! One figure, its reference and its budget, and how they are shown.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// What must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Budget {
    /// The ratio of ours to the reference.
    Ratio(f64),
    /// Ours, in the row's unit.
    Value(f64),
}

/// What ours is compared with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reference {
    /// What it is.
    what: String,
    /// Its values, in the order of the rounds.
    values: Vec<f64>,
}

/// A figure, measured once a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// What it is.
    what: String,
    /// Unit of all values.
    unit: String,
    /// Our values, in the order of the rounds.
    ours: Vec<f64>,
    reference: Option<Reference>,
    budget: Option<Budget>,
}

impl Row {
    /// A figure alone.
    pub(super) fn new(what: impl Into<String>, unit: &str, ours: &[f64]) -> Self {
        Self { what: what.into(), unit: unit.to_owned(), ours: ours.to_vec(), reference: None, budget: None }
    }

    /// Its reference, measured in the same rounds.
    pub(super) fn against(mut self, what: &str, values: &[f64]) -> Self {
        self.reference = Some(Reference { what: what.to_owned(), values: values.to_vec() });
        self
    }

    /// Its budget.
    pub(super) fn within(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Ours over the reference, round by round, so that what burdened a whole round does not count.
    fn ratios(&self) -> Option<Vec<f64>> {
        let reference = self.reference.as_ref()?;
        Some(self.ours.iter().zip(&reference.values).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// Whether the budget is exceeded, where there is one.
    fn is_over(&self) -> Option<bool> {
        match self.budget? {
            Budget::Ratio(limit) => Some(median(&self.ratios()?) > limit),
            Budget::Value(limit) => Some(median(&self.ours) > limit),
        }
    }

    fn line(&self) -> String {
        let mut text = format!("  {:<52} {}", self.what, show(&self.ours, &self.unit));
        if let (Some(reference), Some(ratios)) = (&self.reference, self.ratios()) {
            let theirs = show(&reference.values, &self.unit);
            let _ = write!(text, " / {} {theirs} = {}", reference.what, show(&ratios, "x"));
        }
        match self.budget {
            Some(Budget::Ratio(limit)) => drop(write!(text, "; budget {limit}x")),
            Some(Budget::Value(limit)) => drop(write!(text, "; budget {limit} {}", self.unit)),
            None => {}
        }
        match self.is_over() {
            Some(true) => text.push_str(": over"),
            Some(false) => text.push_str(": ok"),
            None => {}
        }
        text
    }
}

/// The middle value; the mean of the two middle ones. Without values there is none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() % 2, sorted.len() / 2) {
        (_, 0) => sorted.first().copied().unwrap_or(f64::NAN),
        (1, middle) => sorted[middle],
        (_, middle) => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Median and, of several values, the least and the greatest.
fn show(values: &[f64], unit: &str) -> String {
    let space = if unit == "x" { "" } else { " " };
    let middle = format!("{:.2}{space}{unit}", median(values));
    if values.len() < 2 {
        return middle;
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{middle} ({least:.2}–{greatest:.2})")
}

/// A line for each row.
pub(super) fn render(rows: &[Row]) -> String {
    rows.iter().map(|row| row.line() + "\n").collect()
}

/// The rows with what follows from them: medians, the ratio, the outcome.
///
/// # Errors
/// None that data like this can cause.
pub(super) fn with_results(rows: &[Row]) -> Result<Vec<serde_json::Value>> {
    let one = |row: &Row| {
        let mut value = serde_json::to_value(row)?;
        value["median"] = median(&row.ours).into();
        value["ratio"] = row.ratios().map(|ratios| median(&ratios)).into();
        value["over"] = row.is_over().into();
        Ok(value)
    };
    rows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_round_burdens_both() {
        let row = Row::new("boot", "s", &[1.0, 9.0, 1.2]).against("bare", &[1.0, 10.0, 1.0]);
        assert_eq!(row.clone().within(Budget::Ratio(1.1)).is_over(), Some(false));
        assert_eq!(row.clone().within(Budget::Ratio(0.95)).is_over(), Some(true));
        assert_eq!(row.clone().within(Budget::Value(1.1)).is_over(), Some(true));
        assert_eq!(row.is_over(), None);
        let line = row.within(Budget::Ratio(1.1)).line();
        assert!(line.ends_with("= 1.00x (0.90–1.20); budget 1.1x: ok"), "{line}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[5.0]), 5.0);
        assert!(median(&[]).is_nan());
    }
}
