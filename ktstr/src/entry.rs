//! Where `#[ktstr_test]` leads. Not for direct use.

use crate::assert::AssertResult;
use crate::ctx::Ctx;
use crate::host::run::Failure;
use crate::spec::TestSpec;
use crate::{guest, host};
use anyhow::Result;

pub use crate::assert::Assert;
pub use ktstr_wire::Topology;

/// A test's body.
pub type Body = fn(&Ctx) -> Result<AssertResult>;

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
        None => host::run::run(spec),
    }
}
