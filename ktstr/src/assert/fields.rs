//! What can be asserted.

use ktstr_vmm::Chosen;
use serde::{Deserialize, Serialize};

/// Makes the struct and what has to go through all of its fields.
macro_rules! layer {
    ($(#[$of_struct:meta])* $name:ident { $($(#[$of_field:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$of_struct])*
        #[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[$of_field])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)*
        }

        impl $name {
            /// Nothing set.
            pub const fn unset() -> Self {
                Self { $($field: None,)* }
            }

            /// These fields, and `below`'s where one is not set.
            #[must_use]
            pub fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)* }
            }

            /// The fields that `above` does not set.
            #[must_use]
            pub fn without(self, above: Self) -> Self {
                Self { $($field: if above.$field.is_some() { None } else { self.$field },)* }
            }
        }
    };
}

layer! {
    /// What is asserted. A field that is not set takes the value of the layer below: test, then scheduler, then default.
    ///
    /// A check that a test or a scheduler asks for, and for which nothing was measured, makes the run inconclusive. One that
    /// holds by default is then not made.
    Assert {
        /// Every worker does some work.
        not_starved: bool,
        /// Workers run only on CPUs of their cgroup's cpuset, and of those only where their affinity lets them.
        isolation: bool,
        /// No worker with work to do is kept from running for longer than this, in milliseconds.
        max_gap_ms: u64,
        /// Of workers that are alike, the least and the most served differ in CPU share by at most this, in percent of a CPU.
        max_spread_pct: f64,
        /// Of workers that are alike, the work done in a second has at most this coefficient of variation: standard
        /// deviation as a share of the mean.
        max_throughput_cv: f64,
        /// Every worker does at least so many units of work in a second.
        min_work_rate: f64,
        /// Of a worker's wakeups, 99 % come at most so late, in nanoseconds; known to within a percent.
        max_p99_wake_latency_ns: u64,
        /// A worker's wake latencies have at most this coefficient of variation.
        max_wake_latency_cv: f64,
        /// Every worker does at least so many rounds of its work in a second.
        min_iteration_rate: f64,
        /// No worker changes its CPU more often than so many times in a round of its work.
        max_migration_ratio: f64,
        /// Sibling cgroups with work for all of the same CPUs get CPU time by their `cpu.weight`, to within so many
        /// percent of what is due to each. A scheduler places whole tasks, so with few workers for each CPU or over less
        /// than seconds a good one is off by some tens of percent.
        weight_proportional: f64,
        /// No cgroup uses more CPU time than its `cpu.max` allows.
        quota_respected: bool,
        /// No CPU of a cgroup is idle while a worker of it waits for one.
        work_conserving: bool,
    }
}

impl Assert {
    /// What holds for every test that does not say otherwise.
    ///
    /// - `not_starved`: a scheduler that never serves a runnable task is broken.
    /// - `isolation`: the kernel keeps tasks on their CPUs whatever the scheduler wants.
    /// - `max_gap_ms` = 1000: a fair scheduler serves a handful of spinning workers every few tens of milliseconds; a second
    ///   without running is starvation by any measure.
    /// - `max_spread_pct` = 35, of workers that want a CPU all the time: workers that don't divide evenly over the CPUs
    ///   differ in share by what a migration every few slices evens out, which over seconds stays well below a third of a
    ///   CPU.
    ///
    /// They are the same on both accelerators. Under emulation guest time counts instructions and a loaded host changes
    /// nothing; under kvm guest time is real, and what the host caused is charged to the host rather than allowed for here.
    /// Rates and wake latencies have no default: under emulation vCPUs take turns on one host thread, so both depend on how
    /// many there are, and under kvm on the host's CPU.
    pub const fn defaults(accel: Chosen) -> Self {
        match accel {
            Chosen::Kvm | Chosen::Tcg => Self {
                not_starved: Some(true),
                isolation: Some(true),
                max_gap_ms: Some(1000),
                max_spread_pct: Some(35.0),
                ..Self::unset()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layers() -> impl Strategy<Value = Assert> {
        (any::<Option<bool>>(), any::<Option<u64>>(), proptest::option::of(0.0..100.0)).prop_map(
            |(flag, count, share)| Assert {
                not_starved: flag,
                max_gap_ms: count,
                max_spread_pct: share,
                weight_proportional: share,
                work_conserving: flag,
                ..Assert::unset()
            },
        )
    }

    proptest! {
        #[test]
        fn layers_stack(top in layers(), middle in layers(), bottom in layers()) {
            prop_assert_eq!(top.over(middle).over(bottom), top.over(middle.over(bottom)));
            prop_assert_eq!(top.over(Assert::unset()), top);
            prop_assert_eq!(Assert::unset().over(top), top);
            prop_assert_eq!(top.over(bottom.without(top)), top.over(bottom));
            prop_assert_eq!(bottom.without(top).over(top), top.over(bottom));
        }
    }

    #[test]
    fn a_set_field_wins() {
        let test = Assert { max_gap_ms: Some(5), ..Assert::unset() };
        let defaults = Assert::defaults(Chosen::Tcg);
        assert_eq!(test.over(defaults), Assert { max_gap_ms: Some(5), ..defaults });
    }
}
