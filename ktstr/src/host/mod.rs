//! The host's side of a test: what has to be there, the machine, and what is made of its run.

mod agent;
pub(crate) mod attempt;
mod budget;
mod conform;
pub(crate) mod console;
mod expected;
pub(crate) mod failure;
mod judge;
pub(crate) mod limits;
mod observations;
mod phases;
pub(crate) mod prepare;
pub(crate) mod programs;
mod progress;
mod reason;
pub(crate) mod repro;
pub(crate) mod run;
pub(crate) mod runs;
mod schedule;
pub(crate) mod schedulers;
pub(crate) mod session;
mod share;
mod snapshots;
mod symbols;
pub(crate) mod timers;
