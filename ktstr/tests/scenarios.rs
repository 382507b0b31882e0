//! Every scenario that is there as it is passes under the kernel's own scheduler, on machines that are not alike.

#![allow(clippy::unwrap_used)]

use ktstr::prelude::*;
use ktstr::scenarios::CANNED;
use ktstr::{Failure, TestSpec, entry};

/// A test for each scenario, under its name, on the machine of the module that it is in.
macro_rules! canned {
    ($($name:ident,)*) => {
        $(
            #[test]
            fn $name() -> Result<(), ktstr::Failure> {
                crate::run(concat!(module_path!(), "::", stringify!($name)), TOPOLOGY)
            }
        )*

        #[test]
        fn none_is_forgotten() {
            let canned: Vec<&str> = ktstr::scenarios::CANNED.iter().map(|(name, _)| *name).collect();
            assert_eq!(canned, [$(stringify!($name)),*]);
        }
    };
}

fn run(path: &'static str, topology: Topology) -> Result<(), Failure> {
    let (_, body) = CANNED.iter().find(|(name, _)| path.ends_with(&format!("::{name}"))).unwrap();
    entry::run(&TestSpec { duration_s: 1.0, ..TestSpec::new(path, topology) }, *body)
}

/// Nothing can be divided, and no CPU can go.
mod one_cpu {
    use ktstr::Topology;

    const TOPOLOGY: Topology = Topology::new(1, 1, 1);

    canned! {
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
    }
}

/// Two LLCs of two cores with two SMT siblings each.
mod smt {
    use ktstr::Topology;

    const TOPOLOGY: Topology = Topology::new(2, 2, 2);

    canned! {
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
    }
}

/// Three LLCs of one core each on two NUMA nodes.
mod numa {
    use ktstr::Topology;

    const TOPOLOGY: Topology = Topology { numa_nodes: 2, ..Topology::new(3, 1, 1) };

    canned! {
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
    }
}
