//! What `#[derive(Scheduler)]` makes is what one would write by hand.

#![allow(clippy::unwrap_used)]

use ktstr::prelude::*;
use ktstr::{Flag, Profile};

#[derive(Scheduler)]
#[scheduler(
    name = "mitosis",
    binary = "scx_mitosis",
    topology(1, 2, 4, 1),
    sched_args = ["--exit-dump-len", "0"],
    cgroup_parent = "work",
    kargs = ["preempt=full"],
    sysctls = ["kernel.sched_autogroup_enabled=0"],
    stop_signal = libc::SIGTERM,
    assert(max_gap_ms = 500, work_conserving = true)
)]
enum Mitosis {
    #[flag(args = ["--llc"])]
    LlcAware,
    #[flag(args = ["--steal", "2"], requires = [LlcAware])]
    Steal,
    #[flag(name = "l3", args = ["--l3"], requires = [Steal, LlcAware])]
    Level3,
}

#[test]
fn every_word_is_in_the_constant() {
    let by_hand = Scheduler::new("mitosis")
        .binary(SchedulerSpec::Name("scx_mitosis"))
        .topology(1, 2, 4, 1)
        .sched_args(&["--exit-dump-len", "0"])
        .cgroup_parent("work")
        .kargs(&["preempt=full"])
        .sysctls(&[("kernel.sched_autogroup_enabled", "0")])
        .stop_signal(libc::SIGTERM)
        .assert(Assert { max_gap_ms: Some(500), work_conserving: Some(true), ..Assert::unset() })
        .flags(&[
            Flag { name: "llc-aware", args: &["--llc"], requires: &[] },
            Flag { name: "steal", args: &["--steal", "2"], requires: &["llc-aware"] },
            Flag { name: "l3", args: &["--l3"], requires: &["steal", "llc-aware"] },
        ]);
    assert_eq!(Mitosis::SCHEDULER, by_hand);
    assert_eq!([Mitosis::LlcAware.flag(), Mitosis::Steal.flag(), Mitosis::Level3.flag()], ["llc-aware", "steal", "l3"]);
    let profiles: Vec<Profile> = Mitosis::SCHEDULER.profiles(&["steal"], &[]).unwrap().collect();
    assert_eq!(profiles.iter().map(ToString::to_string).collect::<Vec<_>>(), ["llc-aware+steal", "llc-aware+steal+l3"]);
}

/// Wherever a scheduler may come from.
mod binaries {
    use ktstr::{Scheduler, SchedulerSpec};

    #[derive(Scheduler)]
    #[scheduler(package = "scx-own")]
    pub(super) enum ScxOwn {}

    #[derive(Scheduler)]
    #[scheduler(package = "schedulers", bin = "own")]
    pub(super) enum Own {}

    #[derive(Scheduler)]
    #[scheduler(binary = "./own")]
    pub(super) enum OfPath {}

    #[derive(Scheduler)]
    #[scheduler(binary = SchedulerSpec::KernelBuiltin { enable: &[("f", "1")], disable: &[("f", "0")] })]
    pub(super) enum Builtin {}

    #[derive(Scheduler)]
    #[scheduler(kargs = ["preempt=full"])]
    pub(super) enum PreemptFull {}
}

#[test]
fn a_scheduler_comes_from_wherever_it_is_said() {
    let check = |scheduler: Scheduler, name: &str, binary: SchedulerSpec| {
        assert_eq!((scheduler.name, scheduler.binary, scheduler.flags), (name, binary, &[][..]));
    };
    check(binaries::ScxOwn::SCHEDULER, "scx-own", SchedulerSpec::package("scx-own"));
    check(binaries::Own::SCHEDULER, "own", SchedulerSpec::Package { package: "schedulers", bin: "own" });
    check(binaries::OfPath::SCHEDULER, "of-path", SchedulerSpec::Path("./own"));
    let builtin = SchedulerSpec::KernelBuiltin { enable: &[("f", "1")], disable: &[("f", "0")] };
    check(binaries::Builtin::SCHEDULER, "builtin", builtin);
    check(binaries::PreemptFull::SCHEDULER, "preempt-full", SchedulerSpec::None);
}
