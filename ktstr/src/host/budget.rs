//! The machine's share of the host's CPUs.

use crate::record::BudgetPart;
use ktstr_vmm::Chosen;
use ktstr_vmm::budget::{Budget, Error, Lease};
use ktstr_vmm::placement::{Plan, reserve};
use ktstr_wire::Machine;
use std::io::Write;

/// What one machine has of the host's CPUs, until it is dropped.
pub(crate) struct Share {
    /// None where the host keeps no budget.
    _lease: Option<Lease>,
    /// For the record.
    pub(crate) part: BudgetPart,
    /// In performance mode: which CPU is which vCPU's.
    pub(crate) plan: Option<Plan>,
}

/// Waits for the CPUs that a machine can keep busy: one for each vCPU, or one where a single thread emulates them all.
/// Where the host keeps no budget, the machine goes without.
pub(crate) fn take(machine: &Machine, accel: Chosen, performance_mode: bool) -> Share {
    let any = |vcpus: u32| Budget::of_host().and_then(|budget| budget.take_any(vcpus as usize, say));
    let (lease, plan) = match (accel, performance_mode) {
        (Chosen::Kvm, true) => {
            let (lease, plan) = reserve(Budget::of_host(), machine, say);
            (lease, Some(plan))
        }
        (Chosen::Kvm, false) => (any(machine.topology.cpus()), None),
        (Chosen::Tcg, _) => (any(1), performance_mode.then(Plan::default)),
    };
    let part = match &lease {
        Ok(lease) => BudgetPart { cpus: lease.cpus(), waited_ms: lease.waited().as_secs_f64() * 1e3, without: None },
        Err(error) => BudgetPart { without: Some(error.to_string()), ..BudgetPart::default() },
    };
    if let Err(error) = &lease
        && !matches!(error, Error::Off)
    {
        say(&error.to_string());
    }
    Share { _lease: lease.ok(), part, plan }
}

/// Past the test runner, which would show it only when the test is over.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "ktstr: {text}");
}
