//! A plan, and the lease of its CPUs.

use super::{HostTopology, Part, Plan, plan};
use crate::budget::{Budget, Error, Lease};
use ktstr_wire::Machine;

/// Waits for the host CPUs of the best arrangement that the budget's CPUs allow. Without a budget the arrangement is the
/// same, and nobody knows who else uses the CPUs.
pub fn reserve(
    budget: Result<Budget, Error>,
    machine: &Machine,
    say: impl FnMut(&str),
) -> (Result<Lease, Error>, Plan) {
    match budget {
        Ok(budget) => {
            let host = HostTopology::read(budget.cpus());
            reserve_of(&budget, &host, machine, say)
        }
        Err(error) => {
            let host = HostTopology::read(&crate::host_cpus::usable());
            let plan = shared(plan(machine, &host), &format!("there is no vCPU budget: {error}"));
            (Err(error), plan)
        }
    }
}

fn reserve_of(
    budget: &Budget,
    host: &HostTopology,
    machine: &Machine,
    say: impl FnMut(&str),
) -> (Result<Lease, Error>, Plan) {
    let best = plan(machine, host);
    if best.cpus.is_empty() {
        let lease = budget.take_any(machine.topology.cpus() as usize, say);
        return (lease, shared(best, "not every vCPU has one"));
    }
    let mut found = None;
    let choose = |free: &[usize]| {
        let plan = plan(machine, &host.whole_cores(free));
        let good = plan.is_as_good_as(&best);
        good.then(|| found.insert(plan).reserved.clone())
    };
    let lease = budget.take(choose, say);
    match (&lease, found) {
        (Ok(_), Some(mut plan)) => {
            plan.spare = plan.reserved.len() < host.cpus.len();
            plan.report.book(Part::ExclusiveCpus, Ok(()));
            (lease, plan)
        }
        (Ok(_), None) => (lease, shared(best, "the CPUs are those of a machine around this one")),
        (Err(error), _) => {
            let reason = format!("there is no vCPU budget: {error}");
            (lease, shared(best, &reason))
        }
    }
}

fn shared(mut plan: Plan, reason: &str) -> Plan {
    plan.report.book(Part::ExclusiveCpus, Err(reason.to_owned()));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::HostCpu;
    use ktstr_wire::Topology;

    /// Two LLCs of two cores.
    fn host() -> HostTopology {
        let cpu = |cpu| HostCpu { cpu, core: cpu, llc: cpu / 2 * 2, node: 0 };
        HostTopology { cpus: (0..4).map(cpu).collect() }
    }

    fn machine(cores: u32) -> Machine {
        Machine::new(Topology::new(1, cores, 1), 512 << 20)
    }

    #[test]
    fn a_machine_takes_the_llc_that_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let budget = Budget::new(&dir.path().join("vcpus"), (0..4).collect()).unwrap();
        let (first, plan) = reserve_of(&budget, &host(), &machine(2), |_| {});
        assert_eq!((first.unwrap().cpus(), plan.cpus.clone(), plan.spare), (vec![2, 3], vec![2, 3], true));
        assert!(plan.is_exclusive());
        let _last = budget.take(|_| Some(vec![3]), |_| {}).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| reserve_of(&budget, &host(), &machine(2), |_| {}).1.cpus);
            assert_eq!(second.join().unwrap(), [0, 1]);
        });
    }

    #[test]
    fn a_machine_without_cpus_of_its_own_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let budget = Budget::new(&dir.path().join("vcpus"), (0..4).collect()).unwrap();
        let (lease, plan) = reserve_of(&budget, &host(), &machine(5), |_| {});
        assert_eq!((lease.unwrap().cpus(), plan.cpus.len()), (vec![0, 1, 2, 3], 0));
        let _outer = budget.take_any(1, |_| {}).unwrap();
        let (_, within) = reserve_of(&budget, &host(), &machine(2), |_| {});
        let (_, without) = reserve(Err(Error::Off), &machine(1), |_| {});
        for plan in [plan, within, without] {
            assert!(!plan.is_exclusive());
            assert!(plan.report.missing.iter().any(|missing| missing.part == Part::ExclusiveCpus), "{plan:?}");
        }
    }
}
