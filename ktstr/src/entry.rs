//! Where `#[ktstr_test]` leads. Not for direct use.

use crate::assert::AssertResult;
use crate::ctx::Ctx;
use crate::host::failure::Failure;
use crate::scheduler::declare;
use crate::spec::TestSpec;
use crate::{describe, guest, host};
use anyhow::Result;
use ktstr_presets::Preset;

pub use crate::assert::Assert;
pub use ktstr_wire::Topology;

/// A test's body.
pub type Body = fn(&Ctx) -> Result<AssertResult>;

/// A test as it was declared.
#[derive(Debug)]
pub struct Test {
    spec: TestSpec,
    body: Body,
}

impl Test {
    /// A test of this body. Flags that its scheduler does not have keep it from being compiled:
    ///
    /// ```compile_fail,E0080
    /// use ktstr::{entry::Test, TestSpec, Topology};
    ///
    /// static TEST: Test = {
    ///     let mut spec = TestSpec::new("crate::test", Topology::new(1, 1, 1));
    ///     spec.required_flags = &["llc"];
    ///     Test::new(spec, |ctx| ktstr::scenarios::steady(ctx))
    /// };
    /// ```
    pub const fn new(spec: TestSpec, body: Body) -> Self {
        let flags = spec.scheduler.flags;
        assert!(declare(flags, spec.required_flags), "`required_flags` has a flag that the scheduler has not");
        assert!(declare(flags, spec.excluded_flags), "`excluded_flags` has a flag that the scheduler has not");
        Self { spec, body }
    }

    /// The test as declared.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run(&self) -> Result<(), Failure> {
        run(&self.spec, self.body)
    }

    /// Its variant on a preset.
    ///
    /// # Errors
    /// As [`run`].
    pub fn run_on(&self, preset: &'static Preset) -> Result<(), Failure> {
        run(&self.spec.on(preset), self.body)
    }
}

/// The test: in the guest its body, on the host the machine around it.
///
/// # Errors
/// On the host, every verdict but a pass.
pub fn run(spec: &TestSpec, body: Body) -> Result<(), Failure> {
    match guest::Connection::from_env() {
        Some(connection) => {
            guest::run(connection, body);
            Ok(())
        }
        None => describe::instead_of_running(spec).unwrap_or_else(|| host::runs::run(spec)),
    }
}
