//! What is measured while a step holds, besides what workers measure themselves.

use crate::assert::PhaseReports;
use crate::facts::{CgroupFacts, CpuFacts, CpuStat, OwnTime};
use crate::scenarios::priority::{in_turns, this_cpu};
use anyhow::{Context, Result};
use ktstr_wire::CpuSet;
use ktstr_workload::{CgroupManager, CpuMax, WorkerReport, monotonic_ns};
use std::collections::BTreeMap;

/// A phase that is being measured.
#[derive(Debug)]
pub(super) struct Measure {
    name: String,
    from_ns: u64,
    length_ns: u64,
    /// `cpu.stat` of each cgroup at the beginning, and when that was.
    stats: BTreeMap<String, CpuStat>,
    /// Every CPU that each cgroup had.
    allowed: BTreeMap<String, CpuSet>,
    /// Idle time of each CPU at the beginning, and at the end.
    idle_ms: [BTreeMap<u32, u64>; 2],
    own: Vec<OwnTime>,
    steady: bool,
    /// Of workers that were stopped in the phase.
    gone: Vec<WorkerReport>,
}

impl Measure {
    /// Looks at the cgroups of these names, before the phase begins.
    pub(super) fn begin(name: &str, cgroups: &CgroupManager, names: &[String]) -> Result<Self> {
        let mut measure = Self {
            name: name.to_owned(),
            from_ns: 0,
            length_ns: 0,
            stats: BTreeMap::new(),
            allowed: BTreeMap::new(),
            idle_ms: Default::default(),
            own: Vec::new(),
            steady: true,
            gone: Vec::new(),
        };
        for name in names {
            let (stat, cpus) = in_turns(|| (stat_now(cgroups, name), cpus_now(cgroups, name)));
            measure.stats.insert(name.clone(), stat?);
            measure.allowed.insert(name.clone(), cpus?);
        }
        Ok(measure)
    }

    /// The phase begins. Idle time is looked at within it: what is before and after would be taken for the scheduler's fault.
    pub(super) fn start(&mut self) -> Result<()> {
        self.from_ns = monotonic_ns();
        self.idle_ms[0] = self.idle_ms_now()?;
        Ok(())
    }

    /// The phase ends.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.idle_ms[1] = self.idle_ms_now()?;
        self.length_ns = monotonic_ns().saturating_sub(self.from_ns);
        Ok(())
    }

    /// Books the time of the look, which is one system call and so cannot be shared out among CPUs.
    fn idle_ms_now(&mut self) -> Result<BTreeMap<u32, u64>> {
        let (cpu, from_ns) = (this_cpu(), monotonic_ns());
        let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        self.own.push(OwnTime { cpu, from_ns, length_ns: monotonic_ns().saturating_sub(from_ns) });
        Ok(idle_ms(&text, ticks_per_second()))
    }

    /// Workers are gone.
    pub(super) fn add_gone(&mut self, reports: Vec<WorkerReport>) {
        self.gone.extend(reports);
    }

    /// Something was changed meanwhile.
    pub(super) fn changed(&mut self, cgroups: &CgroupManager, names: &[String]) -> Result<()> {
        self.steady = false;
        for name in names {
            let allowed = self.allowed.entry(name.clone()).or_default();
            in_turns(|| cpus_now(cgroups, name))?.iter().for_each(|cpu| allowed.insert(cpu));
        }
        Ok(())
    }

    /// All that there is to say, with the cgroups of these names, on a machine with as many CPUs.
    pub(super) fn end(
        mut self,
        reports: Vec<WorkerReport>,
        cgroups: &CgroupManager,
        names: &[String],
        cpus: u32,
    ) -> Result<PhaseReports> {
        let facts = names.iter().map(|name| in_turns(|| self.facts(cgroups, name))).collect::<Result<_>>()?;
        let cpu = |cpu| {
            let [before, after] = &self.idle_ms;
            let idle_ms = before.get(&cpu).zip(after.get(&cpu));
            let idle_ms = idle_ms.map(|(before, after)| after.saturating_sub(*before));
            CpuFacts { cpu, online: idle_ms.is_some(), idle_ms: idle_ms.unwrap_or_default() }
        };
        let cpus = (0..cpus).map(cpu).collect();
        self.gone.extend(reports);
        Ok(PhaseReports {
            phase: self.name,
            from_ns: self.from_ns,
            length_ns: self.length_ns,
            reports: self.gone,
            cgroups: facts,
            cpus,
            own: self.own,
        })
    }

    fn facts(&self, cgroups: &CgroupManager, name: &str) -> Result<CgroupFacts> {
        let before = self.stats.get(name).copied();
        let stat = stat_now(cgroups, name)?;
        let cpuset = cpus_now(cgroups, name)?;
        let mut allowed = self.allowed.get(name).cloned().unwrap_or_default();
        cpuset.iter().for_each(|cpu| allowed.insert(cpu));
        let weight = cgroups.read(name, "cpu.weight")?;
        Ok(CgroupFacts {
            cgroup: name.to_owned(),
            steady: self.steady && before.is_some() && cpuset == allowed,
            cpuset,
            allowed,
            weight: weight.parse().with_context(|| format!("cpu.weight of cgroup {name} is {weight:?}"))?,
            max: max(&cgroups.read(name, "cpu.max")?).with_context(|| format!("reading cpu.max of cgroup {name}"))?,
            frozen: cgroups.read(name, "cgroup.freeze")? == "1",
            stat: since(before.unwrap_or(CpuStat { over_us: self.from_ns / 1000, ..CpuStat::default() }), stat),
        })
    }
}

/// `cpuset.cpus.effective`.
pub(super) fn cpus_now(cgroups: &CgroupManager, name: &str) -> Result<CpuSet> {
    let text = cgroups.read(name, "cpuset.cpus.effective")?;
    text.parse().with_context(|| format!("cpuset.cpus.effective of cgroup {name} is {text:?}"))
}

/// The numbers now; `over_us` is the time.
fn stat_now(cgroups: &CgroupManager, name: &str) -> Result<CpuStat> {
    let stat = stat(&cgroups.read(name, "cpu.stat")?).with_context(|| format!("reading cpu.stat of cgroup {name}"))?;
    Ok(CpuStat { over_us: monotonic_ns() / 1000, ..stat })
}

fn since(before: CpuStat, after: CpuStat) -> CpuStat {
    CpuStat {
        over_us: after.over_us.saturating_sub(before.over_us),
        usage_us: after.usage_us.saturating_sub(before.usage_us),
        nr_periods: after.nr_periods.saturating_sub(before.nr_periods),
        nr_throttled: after.nr_throttled.saturating_sub(before.nr_throttled),
        throttled_us: after.throttled_us.saturating_sub(before.throttled_us),
    }
}

/// A kernel without bandwidth control has no numbers of it.
fn stat(text: &str) -> Result<CpuStat> {
    let mut stat = CpuStat::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let field = match key {
            "usage_usec" => &mut stat.usage_us,
            "nr_periods" => &mut stat.nr_periods,
            "nr_throttled" => &mut stat.nr_throttled,
            "throttled_usec" => &mut stat.throttled_us,
            _ => continue,
        };
        *field = value.parse().with_context(|| format!("{key} is {value:?}"))?;
    }
    Ok(stat)
}

fn max(text: &str) -> Result<Option<CpuMax>> {
    let (quota, period) = text.split_once(' ').with_context(|| format!("{text:?} are not two values"))?;
    if quota == "max" {
        return Ok(None);
    }
    let number = |text: &str| text.parse().with_context(|| format!("{text:?} is no number"));
    Ok(Some(CpuMax { quota_us: number(quota)?, period_us: number(period)? }))
}

fn ticks_per_second() -> u64 {
    // SAFETY: no pointers.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).unwrap_or(100).max(1)
}

/// Of each CPU that is online (proc(5), `/proc/stat`): the fourth value is idle, the fifth iowait.
fn idle_ms(text: &str, ticks_per_second: u64) -> BTreeMap<u32, u64> {
    let cpu = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let cpu = words.next()?.strip_prefix("cpu")?.parse().ok()?;
        let mut values = words.skip(3).map(|word| word.parse::<u64>().ok());
        let ticks = values.next()?? + values.next()??;
        Some((cpu, ticks * 1000 / ticks_per_second))
    };
    text.lines().filter_map(cpu).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_files_are_understood() {
        let text = "usage_usec 17\nuser_usec 9\nnr_periods 3\nnr_throttled 2\nthrottled_usec 5\nnr_bursts 0\n";
        let expected = CpuStat { usage_us: 17, nr_periods: 3, nr_throttled: 2, throttled_us: 5, over_us: 0 };
        assert_eq!(stat(text).unwrap(), expected);
        assert_eq!(
            since(CpuStat { usage_us: 10, ..expected }, expected),
            CpuStat { usage_us: 7, ..CpuStat::default() }
        );
        assert!(stat("usage_usec x").is_err());
        assert_eq!(max("max 100000").unwrap(), None);
        assert_eq!(max("5000 100000").unwrap(), Some(CpuMax { quota_us: 5_000, period_us: 100_000 }));
        assert!(max("5000").is_err() && max("a b").is_err());
    }

    #[test]
    fn idle_times_are_of_single_cpus() {
        let text = "cpu  9 9 9 900 9 9\ncpu0 1 0 2 40 3 0 0 0 0 0\ncpu2 1 0 2 7 0 0 0 0 0 0\nintr 1 2 3 4 5 6\n";
        assert_eq!(idle_ms(text, 100), BTreeMap::from([(0, 430), (2, 70)]));
    }
}
