//! How a caller hears what takes time.

/// Told by this crate as it works. `()` is a listener that stays silent; warnings are in [`Meta`](crate::Meta) too
/// where they concern the kernel itself.
pub trait Progress {
    /// A step begins, such as `fetching linux-binary-7.3.4+deb13-cloud-amd64`.
    fn step(&self, what: &str);

    /// Bytes of the current step that are done, and of how many where that is known.
    fn bytes(&self, done: u64, total: Option<u64>);

    /// Something a person should know, though the work goes on.
    fn warn(&self, what: &str);
}

impl Progress for () {
    fn step(&self, _what: &str) {}
    fn bytes(&self, _done: u64, _total: Option<u64>) {}
    fn warn(&self, _what: &str) {}
}
