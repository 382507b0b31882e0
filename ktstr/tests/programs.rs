//! Programs of the host run in the guest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use support::Specimen;

#[ktstr_test(programs = ["a-program-that-nobody-has"])]
#[ignore = "a specimen: run by missing_program_is_inconclusive"]
fn lacks_a_program(_ctx: &Ctx) -> Result<AssertResult> {
    bail!("there should be no machine")
}

#[test]
fn missing_program_is_inconclusive() {
    let outcome = Specimen::new("lacks_a_program").env("PATH", "/absent:/usr/bin").run();
    let places = "/absent/a-program-that-nobody-has, /usr/bin/a-program-that-nobody-has";
    outcome.expect("Inconclusive", &["no program \"a-program-that-nobody-has\"", places, "install it"]);
}
