//! What a test declares.

use crate::assert::Assert;
use ktstr_wire::Topology;

/// Everything that `#[ktstr_test]` says about one test.
#[derive(Debug, Clone)]
pub struct TestSpec {
    /// Path of the test, with its crate in front.
    pub path: &'static str,
    /// The machine's CPUs.
    pub topology: Topology,
    /// The machine's RAM, where the default does not do.
    pub memory_mb: Option<u32>,
    /// How long the scenario takes, in seconds of the guest's clock.
    pub duration_s: f64,
    /// Workers of a cgroup that does not say its own number.
    pub workers_per_cgroup: u32,
    /// What the test asserts beyond, or instead of, the defaults.
    pub assert: Assert,
}

impl TestSpec {
    /// The defaults, for a test of this path.
    pub const fn new(path: &'static str, topology: Topology) -> Self {
        Self { path, topology, memory_mb: None, duration_s: 2.0, workers_per_cgroup: 2, assert: Assert::unset() }
    }

    /// The name by which the test runner knows the test: its path without the crate.
    pub fn name(&self) -> &'static str {
        self.path.split_once("::").map_or(self.path, |(_crate, name)| name)
    }
}
