//! libFuzzer on one target, which the variable `KTSTR_FUZZ_TARGET` names. `cargo xtask fuzz` builds and runs this.

#![no_main]

use ktstr_fuzz::{Target, find};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("KTSTR_FUZZ_TARGET").unwrap_or_default();
    find(&name).unwrap_or_else(|| {
        eprintln!("KTSTR_FUZZ_TARGET={name:?} is no fuzz target: use `cargo xtask fuzz`");
        std::process::exit(1)
    })
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
