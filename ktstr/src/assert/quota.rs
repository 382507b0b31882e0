//! Cgroups that use more than their limit.

use super::found::{Found, Look};
use super::result::PhaseReports;
use crate::facts::CgroupFacts;

/// What a CPU may use beyond the quota before the kernel notices: a tick of the slowest kernels (`CONFIG_HZ`=100).
const TICK_US: u64 = 10_000;

/// In each phase, CPU time by `cpu.stat` against `cpu.max`. One quota more than the phase has of them is allowed, since it
/// begins and ends within periods, and a tick of each CPU. It is charged to the host when the host took from a vCPU as much
/// as the cgroup used too much: the guest takes that for time in which the task ran.
pub(super) fn respected(phases: &[&PhaseReports]) -> Found {
    let looks = phases.iter().flat_map(|phase| phase.cgroups.iter().map(|facts| excess(phase, facts)));
    Found::of("quota_respected", "no cgroup had the same cpu.max for a whole phase", looks)
}

fn excess(phase: &PhaseReports, facts: &CgroupFacts) -> Look {
    let Some(max) = facts.max.filter(|max| max.period_us > 0 && phase.settled(&facts.cgroup).is_some()) else {
        return Look::NoData;
    };
    let periods = facts.stat.over_us as f64 / max.period_us as f64 + 1.0;
    let ticks_us = facts.cpuset.iter().count() as u64 * TICK_US;
    let allowed_us = max.quota_us as f64 * periods + ticks_us as f64;
    let used_us = facts.stat.usage_us as f64;
    if used_us <= allowed_us {
        return Look::Holds;
    }
    let measured = format!(
        "cgroup {} used {:.3} s of CPU time in {:.3} s, and its cpu.max allows {:.3} s",
        facts.cgroup,
        used_us / 1e6,
        facts.stat.over_us as f64 / 1e6,
        allowed_us / 1e6
    );
    let evidence = [
        format!("cpu.max is {} µs in each {} µs, on CPUs {}", max.quota_us, max.period_us, facts.cpuset),
        format!("it was throttled in {} of {} periods", facts.stat.nr_throttled, facts.stat.nr_periods),
    ];
    let finding = phase.finding("quota_respected", measured, (used_us - allowed_us) * 1e3);
    Look::Breaks(used_us / allowed_us, finding.with_evidence(evidence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::testing::{cgroup, expect, phase};
    use crate::facts::CpuStat;
    use ktstr_workload::CpuMax;

    fn used(usage_us: u64) -> CgroupFacts {
        let max = Some(CpuMax { quota_us: 20_000, period_us: 100_000 });
        CgroupFacts { max, stat: CpuStat { usage_us, over_us: 2_000_000, ..CpuStat::default() }, ..cgroup("a", "0-1") }
    }

    fn check(facts: CgroupFacts, expected: &[&str]) {
        expect(respected(&[&phase([facts], [])]), expected);
    }

    #[test]
    fn more_than_all_periods_allow_is_found() {
        // 20 periods of 2 s and one more, and two ticks.
        check(used(440_000), &[]);
        check(used(440_001), &["cgroup a used 0.440 s of CPU time in 2.000 s, and its cpu.max allows 0.440 s"]);
    }

    #[test]
    fn only_a_limit_that_stays_is_checked() {
        check(CgroupFacts { max: None, ..used(900_000) }, &["? no cgroup had the same cpu.max"]);
        check(CgroupFacts { steady: false, ..used(900_000) }, &["? no cgroup had"]);
    }
}
