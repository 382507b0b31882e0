//! Checks on what workers measured, a file for each family of them.
//!
//! [`Assert`] says what is asserted, [`Checks`] of what and how strictly, and [`AssertResult`] what came of it.
//!
//! Under kvm the host may keep a vCPU from running, and the guest sees that as bad scheduling. So a finding that this could
//! explain has a window: when it was, on which CPU, and how much of it would have been no finding. It is charged to the host,
//! which makes the run inconclusive, when the host took the rest or more:
//!
//! | check | of which time | what the host must have taken from a vCPU |
//! |---|---|---|
//! | `not_starved` | the worker's whole time | half of it |
//! | `max_gap_ms` | the gap, on the CPU that the worker had before | what it is longer than the limit |
//! | `max_spread_pct` | the workers' whole time | what the shares differ by more than the limit |
//! | `max_throughput_cv` | the workers' whole time | the same share of it as the coefficient is above the limit |
//! | `min_work_rate`, `min_iteration_rate` | the worker's whole time | as much as leaves the rate at its limit |
//! | `max_p99_wake_latency_ns` | the worker's whole time | the lateness of the wakeups that are too many |
//! | `max_wake_latency_cv` | the worker's whole time | one wakeup so late that it varies the rest so much |
//! | `weight_proportional` | the phase | what a cgroup got more or less than is due to it |
//! | `quota_respected` | the phase | what was used above the limit |
//! | `work_conserving` | the phase | how long a worker waited beside an idle CPU |
//! | `isolation`, `max_migration_ratio` | | nothing: these are never charged to it |

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
