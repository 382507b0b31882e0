//! What runs in a cgroup, as data.

/// A cgroup and its workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupDef {
    pub(crate) name: String,
    pub(crate) workers: Option<u32>,
}

impl CgroupDef {
    /// A cgroup of this name, below the test's parent cgroup.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), workers: None }
    }

    /// How many workers it has; by default as many as the test declares for each cgroup.
    pub fn workers(mut self, count: u32) -> Self {
        self.workers = Some(count);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many workers it has, where `default` is the test's number.
    pub fn worker_count(&self, default: u32) -> u32 {
        self.workers.unwrap_or(default)
    }
}
