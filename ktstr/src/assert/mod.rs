//! Checks on what workers measured, a file for each family of them.
//!
//! [`Assert`] says what is asserted, [`Checks`] of what and how strictly, and [`AssertResult`] what came of it.

mod alike;
mod checks;
mod conserving;
mod fairness;
mod fields;
mod found;
mod isolation;
mod latency;
mod migration;
mod programs;
mod quota;
mod rate;
mod result;
mod settled;
mod starvation;
#[cfg(test)]
mod testing;
mod weight;

pub use checks::Checks;
pub use fields::Assert;
pub use result::{AssertResult, PhaseReports};
