//! Tests of Linux process schedulers, as ordinary Rust tests.
//!
//! A function under [`ktstr_test`] boots a real kernel in a virtual machine with the CPU topology that it declares, runs
//! its body in there, and judges what happened:
//!
//! ```no_run
//! use ktstr::prelude::*;
//!
//! #[ktstr_test(llcs = 1, cores = 2, threads = 1)]
//! fn two_cgroups_share_fairly(ctx: &Ctx) -> Result<AssertResult> {
//!     execute_defs(ctx, vec![CgroupDef::named("cg_0").workers(2), CgroupDef::named("cg_1").workers(2)])
//! }
//! ```
//!
//! One binary serves both sides. On the host the test boots the machine, packs this very binary into it and waits; in the
//! guest the same test runs the body. See [`Settings`] for the environment variables that change how.

mod assert;
mod ctx;
mod describe;
#[doc(hidden)]
pub mod entry;
mod facts;
#[doc(hidden)]
pub mod fuzzing;
mod guest;
mod host;
mod record;
mod repro;
pub mod scenarios;
mod scheduler;
mod settings;
mod spec;
mod stimulus;
mod verdict;

pub use assert::{Assert, AssertResult, Checks, PhaseReports};
pub use ctx::Ctx;
#[doc(hidden)] // For the command line tools, which choose among tests.
pub use describe::{DESCRIBE_ENV, Description};
pub use facts::{CgroupFacts, CpuFacts, CpuStat, OwnTime};
pub use host::failure::Failure;
#[doc(hidden)] // For the command line tools, which boot the same guest.
pub use host::{
    console::{findings_on, last_lines},
    failure::assignment,
    limits::{KernelLimit, check as check_kernel},
    prepare::{PrepareError, REQUIRED_OPTIONS, boot_image, with_kernel_config},
    programs::find as find_program,
    schedulers::build::{program as build_scheduler, variables_of_the_caller},
    timers::kernel_timers,
};
pub use ktstr_macros::{Scheduler, ktstr_test};
pub use ktstr_presets::{PRESETS, Preset, named as preset};
pub use record::{
    BootPart, BudgetPart, GuestPart, HostPart, KernelPart, RECORD_VERSION, Record, SchedulePart, TimeSplit,
};
#[doc(hidden)] // For readers of what is left of a record.
pub use record::{test_name, variant_name};
pub use repro::{Crash, Focus, FocusTask, Repro, ReproOutcome, TracedEvent};
pub use scenarios::{HoldSpec, Op, Step, execute_defs, execute_steps, execute_steps_with};
pub use scheduler::{
    BpfMapWrite, DeclaredProgram, DeclaredScheduler, EnabledSpan, Flag, KernelLine, MAX_PROFILES, MapWritten, Profile,
    ProfileError, Profiles, ProgramRun, Restart, Scheduler, SchedulerClass, SchedulerExit, SchedulerPart, SchedulerRun,
    SchedulerSpec,
};
pub use settings::{Settings, runs_dir};
pub use spec::TestSpec;
pub use stimulus::{Stimulus, StimulusKind};
pub use verdict::{Finding, Verdict, Window};

pub use ktstr_vmm::placement::{Missing as MissingPart, Part as PerformancePart, Report as PlacementReport};
pub use ktstr_vmm::{Accel, Chosen};
pub use ktstr_wire::trace::{TraceEnd, TraceProbe, TraceProbeKind};
pub use ktstr_wire::{Machine, Node, Topology};

/// What a test needs.
pub mod prelude {
    pub use crate::{
        Assert, AssertResult, BpfMapWrite, Checks, Ctx, Finding, HoldSpec, Op, Scheduler, SchedulerSpec, Step,
        execute_defs, execute_steps, execute_steps_with, ktstr_test, scenarios,
    };
    pub use anyhow::{Context as _, Result, anyhow, bail, ensure};
    pub use ktstr_wire::{CpuSet, Machine, Topology};
    pub use ktstr_workload::{
        AffinityKind, CgroupDef, CgroupGroup, CgroupManager, Channel, CpuMax, CpusetSpec, Metric, Program, RtApp,
        SchedPolicy, TeamSize, Work, WorkType, WorkerKind, WorkerReport, WorkloadConfig, WorkloadHandle,
    };
    pub use std::time::Duration;
}
