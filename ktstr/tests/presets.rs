//! Every preset gives a guest the machine that it declares. Each run compares the two, so no body has anything to do.

#![allow(clippy::unwrap_used)]

use ktstr::prelude::*;
use ktstr::{Failure, PRESETS, Preset, TestSpec, entry};

/// A test for each preset, under its name.
macro_rules! presets {
    ($($(#[$attribute:meta])* $name:ident,)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() -> Result<(), Failure> {
                run(concat!(module_path!(), "::", stringify!($name)))
            }
        )*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

presets! {
    tiny_1llc,
    tiny_2llc,
    odd_3llc,
    odd_5llc,
    odd_7llc,
    smt_2llc,
    smt_3llc,
    medium_4llc,
    medium_4llc_nosmt,
    medium_8llc,
    medium_8llc_nosmt,
    large_4llc,
    large_4llc_nosmt,
    large_8llc,
    large_8llc_nosmt,
    #[ignore = "240 CPUs take a minute to boot: cargo xtask ci --full"]
    near_max_llc,
    #[ignore = "240 CPUs take a minute to boot: cargo xtask ci --full"]
    near_max_llc_nosmt,
    #[ignore = "252 CPUs take a minute to boot: cargo xtask ci --full"]
    max_cpu,
    #[ignore = "252 CPUs take a minute to boot: cargo xtask ci --full"]
    max_cpu_nosmt,
    numa_2x2,
    numa_2x4,
    numa_4x2,
    numa_4x3,
    numa_uneven_llcs,
    numa_uneven_memory,
    numa_line,
    numa_pairs,
    numa_memory_only,
    numa_uneven,
}

fn run(path: &'static str) -> Result<(), Failure> {
    let named = PRESETS.iter().find(|preset| path.ends_with(&format!("::{}", preset.function())));
    // A test of its own name, and no variant of one.
    let spec = TestSpec { preset: None, ..TestSpec::new(path, Topology::new(1, 1, 1)).on(named.unwrap()) };
    entry::run(&spec, |_ctx: &Ctx| Ok(AssertResult::default()))
}

#[test]
fn none_is_forgotten() {
    assert_eq!(PRESETS.iter().map(Preset::function).collect::<Vec<_>>(), TESTED);
}
