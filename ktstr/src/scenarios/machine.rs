//! Parts of any machine, the smallest included.

use crate::ctx::Ctx;
use ktstr_wire::{CpuSet, Topology};
use ktstr_workload::CpusetSpec;

/// CPUs that a scenario with workers for each of them uses: large machines would take minutes to fill.
const SOME_CPUS: u32 = 16;

/// The first CPUs, up to 16.
pub(super) fn some_cpus(ctx: &Ctx) -> CpuSet {
    (0..ctx.topology().cpus().min(SOME_CPUS)).collect()
}

/// This part of the CPUs, one at least.
pub(super) fn first(ctx: &Ctx, part: f64) -> CpusetSpec {
    let all = ctx.topology().cpus();
    CpusetSpec::Exact((0..((f64::from(all) * part).round() as u32).max(1)).collect())
}

/// Two halves of the machine, along its LLCs where it has several. A single CPU is in both.
pub(super) fn halves(ctx: &Ctx) -> [CpusetSpec; 2] {
    halves_of(ctx.topology()).map(CpusetSpec::Exact)
}

fn halves_of(topology: Topology) -> [CpuSet; 2] {
    let all = topology.cpus();
    let middle = if topology.llcs > 1 { topology.llcs / 2 * topology.cpus_per_llc() } else { all / 2 };
    if middle == 0 {
        [(0..all).collect(), (0..all).collect()]
    } else {
        [(0..middle).collect(), (middle..all).collect()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_there_on_any_machine() {
        let check = |topology, expected: [&str; 2]| {
            assert_eq!(halves_of(topology).map(|half| half.to_string()), expected, "{topology}");
        };
        check(Topology::new(1, 1, 1), ["0", "0"]);
        check(Topology::new(1, 3, 1), ["0", "1-2"]);
        check(Topology::new(2, 1, 2), ["0-1", "2-3"]);
        check(Topology::new(3, 2, 1), ["0-1", "2-5"]);
    }
}
