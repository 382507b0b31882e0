//! The host-side reader of scheduler state. It knows the kernel by its symbols and its BTF, and nothing of tests.

pub mod schedule;
