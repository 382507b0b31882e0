//! Every scenario that is there as it is passes under the kernel's own scheduler, on machines that are not alike, and under
//! a sched_ext scheduler.

use ktstr::{Scheduler, SchedulerSpec};

/// Our own, with all faults off.
const SCX: Scheduler = Scheduler::new("scx-ktstr").binary(SchedulerSpec::package("scx-ktstr"));

/// A test of each scenario, under its name, in a module for each machine; in brackets are the attributes of its tests.
macro_rules! canned {
    ($($machine:ident $attributes:tt),*; $names:tt) => {
        $(
            mod $machine {
                use ktstr::prelude::*;

                canned! { @on $attributes $names }
            }
        )*
        canned! { @all $names }
    };
    (@on $attributes:tt [$($name:ident,)*]) => {
        $(
            #[ktstr_test $attributes]
            fn $name(ctx: &Ctx) -> Result<AssertResult> {
                scenarios::$name(ctx)
            }
        )*
    };
    (@all [$($name:ident,)*]) => {
        #[test]
        fn none_is_forgotten() {
            let canned: Vec<&str> = ktstr::scenarios::CANNED.iter().map(|(name, _)| *name).collect();
            assert_eq!(canned, [$(stringify!($name)),*]);
        }
    };
}

canned! {
    // Nothing can be divided, and no CPU can go.
    one_cpu(cores = 1, duration_s = 1, gauntlet = false),
    // Two LLCs of two cores with two SMT siblings each, and all presets.
    canned(llcs = 2, cores = 2, threads = 2, duration_s = 1),
    // Three LLCs of one core each on two NUMA nodes.
    numa(numa_nodes = 2, llcs = 3, duration_s = 1, gauntlet = false),
    // Two LLCs of two cores each.
    scx(llcs = 2, cores = 2, duration_s = 1, gauntlet = false, scheduler = crate::SCX);
    [
        steady,
        steady_llc,
        oversubscribed,
        cpuset_apply,
        cpuset_clear,
        cpuset_resize,
        cgroup_add,
        cgroup_remove,
        affinity_change,
        affinity_pinned,
        host_contention,
        mixed_workloads,
        nested_steady,
        nested_task_move,
        many_cgroups,
        many_workers,
        rapid_topology_changes,
        hotplug_storm,
        fork_storm,
    ]
}
