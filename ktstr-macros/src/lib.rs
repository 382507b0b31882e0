//! The attribute `#[ktstr_test]` and `#[derive(Scheduler)]`: parse, emit, stop.

mod attrs;
mod emit;
mod gauntlet;
mod guest;
mod machine;
mod scheduler;
mod under_test;
mod values;

use proc_macro::TokenStream;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Makes a test of a function `fn(&Ctx) -> Result<AssertResult>`.
///
/// | attribute | meaning | default |
/// |---|---|---|
/// | `llcs = N`, or `sockets = N` | last-level caches of the whole machine, each in a package of its own | 1 |
/// | `cores = N` | cores per LLC | 1 |
/// | `threads = N` | SMT threads per core | 1 |
/// | `numa_nodes = N` | NUMA nodes, which divide the LLCs | 1 |
/// | `node_llcs = [N, …]` | LLCs of each node | spread evenly |
/// | `memory_mb = N` | RAM of these nodes together, in MiB, spread evenly | by topology |
/// | `node_memory_mb = [N, …]` | RAM of each of these nodes, in MiB | spread evenly |
/// | `memory_only_nodes_mb = [N, …]` | further nodes without CPUs, and the RAM of each in MiB | none |
/// | `distances = [[N, …], …]` | how far nodes are apart, 10 being a node from itself; a list for each node, from it to each | 20 |
/// | `duration_s = N` | the scenario's length in seconds of guest time, whole or not | 2 |
/// | `workers_per_cgroup = N` | workers of a cgroup that doesn't say its own number | 2 |
/// | `performance_mode = BOOL` | vCPUs on host CPUs of their own, see `TestSpec::performance_mode` | false |
/// | `programs = ["NAME", …]` | programs of the host, by name or path, that `WorkType::Program` runs | none |
/// | `replicas = N` | runs, each with a seed of its own that follows from the given one | 1 |
/// | `kargs = ["WORD", …]` | parameters for the guest's kernel, before those of `KTSTR_KARGS` | none |
/// | `sysctls = ["NAME=VALUE", …]`, or `[("NAME", "VALUE"), …]` | kernel settings, made before the body runs and read back | none |
/// | `scheduler = SCHEDULER` | the scheduler under test, a constant `Scheduler`; where the test says nothing of LLCs, cores, threads and nodes, its machine is that of the scheduler | EEVDF |
/// | `required_flags = [FLAG, …]` | flags of the scheduler that are on, by their names or as variants of the enum that derives it: the test runs with each set of flags that has them, all that these require, and none of the excluded ones | none |
/// | `excluded_flags = [FLAG, …]` | flags of the scheduler that are off | none |
/// | `schedulers = [SCHEDULER, …]` | further ones, which the scenario may switch to by their names | none |
/// | `extra_sched_args = ["WORD", …]` | arguments of the scheduler's program, after all others | none |
/// | `watchdog_timeout_s = N` | the kernel takes a runnable task for stalled after so many seconds, 30 at most | what the scheduler says |
/// | `bpf_map_write = WRITE`, or `[WRITE, …]` | what is written into its maps and when, constants `BpfMapWrite` | nothing |
/// | `auto_repro = BOOL` | a run that fails by a crash of the scheduler is made once more, with a trace of what led there, see `Repro` | false |
/// | `expect_err = "TEXT"` | the test passes if it fails, and with this in what it says | it must not fail |
/// | `not_starved`, `isolation`, `quota_respected`, `work_conserving` `= BOOL` | assertions, see `Assert` | `Assert::defaults()` |
/// | `max_gap_ms`, `max_p99_wake_latency_ns` `= N` | as above, whole numbers | |
/// | `max_spread_pct`, `max_throughput_cv`, `min_work_rate`, `max_wake_latency_cv`, `min_iteration_rate`, `max_migration_ratio`, `weight_proportional` `= N` | as above, whole or not | |
///
/// Other attributes of the function, such as `#[ignore]`, are kept.
///
/// Beside the function comes a module of its name with a test for each of `PRESETS`, on that machine instead of the declared
/// one: `my_test::tiny_1llc`. They are ignored unless asked for, and these words choose among them; a test under `#[ignore]` has
/// none.
///
/// | attribute | the presets |
/// |---|---|
/// | `min_llcs = N`, `max_llcs = N` | with at least, or at most, as many last-level caches |
/// | `min_cpus = N`, `max_cpus = N` | logical CPUs |
/// | `min_numa_nodes = N`, `max_numa_nodes = N` | NUMA nodes with CPUs |
/// | `requires_smt = BOOL` | with more than one thread per core |
/// | `gauntlet = false` | none |
#[proc_macro_attribute]
pub fn ktstr_test(args: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    let tokens = attrs::Attrs::parse(args.into()).and_then(|attrs| emit::test(&attrs, &function));
    tokens.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a scheduler of an enum whose variants are flags: what can be switched on by arguments of its program.
///
/// The enum gets a constant `SCHEDULER`, for `#[ktstr_test(scheduler = ...)]`, and its variants a name, `Mitosis::Steal.flag()`,
/// which is that of the variant in lower case with hyphens. See `ktstr::Scheduler` for an example. An enum without variants is
/// a scheduler without flags.
///
/// `#[scheduler(...)]` before the enum says what the scheduler is, in these words:
///
/// | word | meaning | default |
/// |---|---|---|
/// | `name = "NAME"` | how records and reports call it | the enum's name, in lower case with hyphens |
/// | `binary = "NAME"` | its program on the host's search path | the kernel's own scheduler |
/// | `binary = "DIR/NAME"` | with a slash, its file; a relative path is one from the root of the test's package | |
/// | `binary = EXPRESSION` | a `SchedulerSpec`, such as one that is a part of the kernel | |
/// | `package = "NAME"` | a package of the workspace, built when a test needs it | |
/// | `bin = "NAME"` | that package's binary | as the package |
/// | `topology(NODES, LLCS, CORES, THREADS)` | the machine of its tests, where they do not declare one: NUMA nodes, LLCs in all, cores of an LLC, threads of a core | |
/// | `sched_args = ["WORD", …]` | its arguments, before those of flags and of the test | none |
/// | `cgroup_parent = "PATH"` | where the test's cgroups are made, below the root of the hierarchy | `ktstr` |
/// | `kargs`, `sysctls` | as in `#[ktstr_test]`, before what the test says | none |
/// | `stop_signal = NUMBER` | the signal that asks it to end | `SIGINT` |
/// | `assert(NAME = VALUE, …)` | what is asserted of its tests, by the words of `#[ktstr_test]` | nothing beyond the defaults |
///
/// `#[flag(...)]` before each variant says what the flag is:
///
/// | word | meaning | default |
/// |---|---|---|
/// | `args = ["WORD", …]` | the arguments that switch it on | must be given |
/// | `requires = [VARIANT, …]` | flags without which it is not to be had | none |
/// | `name = "NAME"` | its name | the variant's, in lower case with hyphens |
#[proc_macro_derive(Scheduler, attributes(scheduler, flag))]
pub fn derive_scheduler(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as DeriveInput);
    scheduler::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}
