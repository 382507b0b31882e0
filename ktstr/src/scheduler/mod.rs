//! Schedulers under test, as a test declares them.

mod declared;
mod exit;
mod flags;
mod map_write;
mod profiles;
mod run;
mod spec;

pub use declared::{DeclaredProgram, DeclaredScheduler};
pub use exit::{SchedulerClass, SchedulerExit};
pub(crate) use flags::declare;
pub use flags::{Flag, Profile, ProfileError};
pub use map_write::BpfMapWrite;
pub(crate) use map_write::MapWriteText;
pub use profiles::{MAX_PROFILES, Profiles};
pub use run::{EnabledSpan, KernelLine, MapWritten, ProgramRun, Restart, SchedulerPart, SchedulerRun};
pub use spec::SchedulerSpec;

use crate::assert::Assert;
use crate::guest::CGROUP_PARENT;
use ktstr_wire::Topology;

/// A scheduler under test. It is plain data, made once and named by `#[ktstr_test(scheduler = …)]`:
///
/// ```
/// use ktstr::prelude::*;
///
/// const QMAP: Scheduler = Scheduler::new("qmap")
///     .binary(SchedulerSpec::Name("scx_qmap"))
///     .topology(1, 2, 4, 1)
///     .sched_args(&["-s", "5000"])
///     .assert(Assert { max_gap_ms: Some(500), ..Assert::unset() });
/// ```
///
/// `#[derive(Scheduler)]` makes one of an enum of flags, which a test runs with each valid set of them, its *profiles*:
///
/// ```
/// use ktstr::prelude::*;
///
/// #[derive(Scheduler)]
/// #[scheduler(binary = "scx_mitosis", topology(1, 2, 4, 1), sched_args = ["--verbose"])]
/// enum Mitosis {
///     #[flag(args = ["--llc"])]
///     Llc,
///     #[flag(args = ["--steal", "2"], requires = [Llc])]
///     Steal,
/// }
///
/// // Runs with `llc` and with `llc+steal`.
/// #[ktstr_test(scheduler = Mitosis::SCHEDULER, required_flags = [Mitosis::Llc])]
/// fn steals_within_an_llc(ctx: &Ctx) -> Result<AssertResult> {
///     scenarios::steady(ctx)
/// }
///
/// let profiles = Mitosis::SCHEDULER.profiles(&[], &[])?.map(|profile| profile.to_string());
/// assert_eq!(profiles.collect::<Vec<_>>(), ["plain", "llc", "llc+steal"]);
/// assert_eq!(Mitosis::SCHEDULER.arguments(&"llc+steal".parse()?), ["--verbose", "--llc", "--steal", "2"]);
/// # Ok::<(), ktstr::ProfileError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scheduler {
    /// The name by which records and reports know it.
    pub name: &'static str,
    /// What it is.
    pub binary: SchedulerSpec,
    /// The machine of its tests, where they do not declare one.
    pub topology: Option<Topology>,
    /// Arguments of its program, before those of the flags and of the test.
    pub sched_args: &'static [&'static str],
    /// The cgroup in which the test's cgroups are made, below the root of the hierarchy; it is there before the scheduler
    /// starts. `ktstr` by default.
    pub cgroup_parent: Option<&'static str>,
    /// Parameters for the guest's kernel, before those of the test.
    pub kargs: &'static [&'static str],
    /// Kernel settings, as `sysctl` names them, and their values; the test's own come after them.
    pub sysctls: &'static [(&'static str, &'static str)],
    /// What is asserted of its tests where they say nothing themselves.
    pub assert: Assert,
    /// What can be switched on.
    pub flags: &'static [Flag],
    /// The signal that asks its program to end, `SIGINT` by default.
    pub stop_signal: i32,
}

impl Scheduler {
    /// The kernel's own, as it is.
    pub const EEVDF: Self = Self::new("eevdf");

    /// One of this name that is nothing yet but the kernel's own.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            binary: SchedulerSpec::None,
            topology: None,
            sched_args: &[],
            cgroup_parent: None,
            kargs: &[],
            sysctls: &[],
            assert: Assert::unset(),
            flags: &[],
            stop_signal: libc::SIGINT,
        }
    }

    /// The same as this program, or part of the kernel.
    #[must_use]
    pub const fn binary(mut self, binary: SchedulerSpec) -> Self {
        self.binary = binary;
        self
    }

    /// The same for a machine of these numbers: NUMA nodes, LLCs in all, cores of an LLC, threads of a core.
    #[must_use]
    pub const fn topology(mut self, numa_nodes: u32, llcs: u32, cores_per_llc: u32, threads_per_core: u32) -> Self {
        self.topology = Some(Topology { numa_nodes, llcs, cores_per_llc, threads_per_core });
        self
    }

    /// The same with arguments.
    #[must_use]
    pub const fn sched_args(mut self, args: &'static [&'static str]) -> Self {
        self.sched_args = args;
        self
    }

    /// The same with the test's cgroups in this one, as a path below the root of the hierarchy.
    #[must_use]
    pub const fn cgroup_parent(mut self, path: &'static str) -> Self {
        self.cgroup_parent = Some(path);
        self
    }

    /// The same with parameters for the kernel.
    #[must_use]
    pub const fn kargs(mut self, kargs: &'static [&'static str]) -> Self {
        self.kargs = kargs;
        self
    }

    /// The same with kernel settings.
    #[must_use]
    pub const fn sysctls(mut self, sysctls: &'static [(&'static str, &'static str)]) -> Self {
        self.sysctls = sysctls;
        self
    }

    /// The same with what is asserted of its tests.
    #[must_use]
    pub const fn assert(mut self, assert: Assert) -> Self {
        self.assert = assert;
        self
    }

    /// The parent of its tests' cgroups, relative to the root of the hierarchy.
    pub(crate) fn parent(&self) -> &'static str {
        self.cgroup_parent.map_or(CGROUP_PARENT, |path| path.trim_matches('/'))
    }

    /// The same with flags, of which valid sets are its profiles.
    #[must_use]
    pub const fn flags(mut self, flags: &'static [Flag]) -> Self {
        self.flags = flags;
        self
    }

    /// The same, ended by another signal, by its number.
    #[must_use]
    pub const fn stop_signal(mut self, signal: i32) -> Self {
        self.stop_signal = signal;
        self
    }
}
