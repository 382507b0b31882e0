//! The machine's share of the host's CPUs.

use crate::record::BudgetPart;
use ktstr_vmm::Chosen;
use ktstr_vmm::budget::{Budget, Lease};
use ktstr_wire::Topology;
use std::io::Write;

/// Waits for the CPUs that a machine can keep busy: one for each vCPU, or one where a single thread emulates them all.
/// Where the host keeps no budget, the machine goes without.
pub(crate) fn take(topology: Topology, accel: Chosen) -> (Option<Lease>, BudgetPart) {
    let vcpus = match accel {
        Chosen::Kvm => topology.cpus() as usize,
        Chosen::Tcg => 1,
    };
    match Budget::of_host().and_then(|budget| budget.take_any(vcpus, say)) {
        Ok(lease) => {
            let part = BudgetPart { cpus: lease.cpus(), waited_ms: lease.waited().as_secs_f64() * 1e3, without: None };
            (Some(lease), part)
        }
        Err(error) => {
            if !matches!(error, ktstr_vmm::budget::Error::Off) {
                say(&error.to_string());
            }
            (None, BudgetPart { without: Some(error.to_string()), ..BudgetPart::default() })
        }
    }
}

/// Past the test runner, which would show it only when the test is over.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "ktstr: {text}");
}
