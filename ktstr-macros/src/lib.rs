//! The attribute `#[ktstr_test]`: parse, emit, stop.

mod attrs;
mod emit;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Makes a test of a function `fn(&Ctx) -> Result<AssertResult>`.
///
/// | attribute | meaning | default |
/// |---|---|---|
/// | `llcs = N` | last-level caches of the whole machine | 1 |
/// | `cores = N` | cores per LLC | 1 |
/// | `threads = N` | SMT threads per core | 1 |
/// | `numa_nodes = N` | NUMA nodes, which divide the LLCs | 1 |
/// | `memory_mb = N` | the machine's RAM in MiB | by topology |
/// | `duration_s = N` | the scenario's length in seconds of guest time, whole or not | 2 |
/// | `workers_per_cgroup = N` | workers of a cgroup that doesn't say its own number | 2 |
/// | `not_starved = BOOL`, `max_gap_ms = N`, `max_spread_pct = N` | assertions, see `Assert` | `Assert::defaults()` |
///
/// Other attributes of the function, such as `#[ignore]`, are kept.
#[proc_macro_attribute]
pub fn ktstr_test(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let tokens = attrs::Attrs::parse(args.into()).and_then(|attrs| emit::test(&attrs, &function));
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}
