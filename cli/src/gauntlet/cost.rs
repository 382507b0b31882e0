//! What a test will take: what it took in earlier runs or, for one that has not run yet, what machines like its own take.

use ktstr::{Chosen, Description, Machine, Profile, TimeSplit, test_name, variant_name};
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many of the latest records are looked at.
const RECORDS: usize = 2000;

/// As much of a record as is needed here; those of other versions have it, too.
#[derive(Debug, Deserialize)]
struct Past {
    test: String,
    #[serde(default)]
    preset: Option<String>,
    #[serde(default)]
    profile: Option<Profile>,
    accel: Option<Chosen>,
    machine: Machine,
    duration_ns: u64,
    host: PastHost,
}

#[derive(Debug, Deserialize)]
struct PastHost {
    time: TimeSplit,
}

/// Times of one accelerator, in seconds.
#[derive(Debug)]
pub(crate) struct Costs {
    accel: Chosen,
    /// By the variant's name.
    measured: HashMap<String, f64>,
    /// How much slower this host is than the model.
    scale: f64,
}

impl Costs {
    /// From the records below `runs`, as far as there are any.
    pub(crate) fn of(runs: &Path, accel: Chosen) -> Self {
        let records = latest_records(runs);
        let read = records.iter().filter_map(|path| serde_json::from_slice::<Past>(&fs::read(path).ok()?).ok());
        // One that did not get as far as to run its test took less than a run does.
        Self::learn(accel, read.filter(|past| past.accel == Some(accel) && past.host.time.run_ms > 0.0))
    }

    fn learn(accel: Chosen, records: impl Iterator<Item = Past>) -> Self {
        let (mut times, mut ratios) = (HashMap::<String, Vec<f64>>::new(), Vec::new());
        for past in records {
            let seconds = past.host.time.total_ms() / 1e3;
            ratios.push(seconds / modelled(accel, &past.machine, past.duration_ns as f64 / 1e9));
            let name = test_name(&past.test, past.preset.as_deref());
            times.entry(variant_name(&name, past.profile.as_ref())).or_default().push(seconds);
        }
        let measured = times.into_iter().filter_map(|(name, times)| Some((name, median(times)?))).collect();
        Self { accel, measured, scale: median(ratios).unwrap_or(1.0) }
    }

    /// How many CPUs of a host that has `host` a test's machine keeps busy: one where a single thread emulates all of its own.
    pub(crate) fn cpus(&self, test: &Description, host: usize) -> usize {
        match self.accel {
            Chosen::Tcg => 1,
            Chosen::Kvm => (test.machine.topology.cpus() as usize).min(host),
        }
    }

    /// What all replicas of a test take.
    pub(crate) fn seconds(&self, test: &Description) -> f64 {
        let modelled = || self.scale * modelled(self.accel, &test.machine, test.duration_s);
        let once = self.measured.get(&test.variant()).copied().unwrap_or_else(modelled);
        once * f64::from(test.replicas.max(1))
    }
}

/// On two cores of 2025, with a stock kernel. Under emulation each CPU takes its time to come up, and CPUs that are busy take
/// turns.
fn modelled(accel: Chosen, machine: &Machine, duration_s: f64) -> f64 {
    let cpus = f64::from(machine.topology.cpus());
    match accel {
        Chosen::Tcg => 3.5 + 0.2 * cpus + 0.3 * duration_s * cpus.min(4.0),
        Chosen::Kvm => 1.5 + 0.02 * cpus + duration_s,
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Files of the latest runs' records.
fn latest_records(runs: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let changed =
        |entry: &fs::DirEntry| entry.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut dirs: Vec<(SystemTime, PathBuf)> = entries(runs).map(|entry| (changed(&entry), entry.path())).collect();
    dirs.sort_by(|a, b| b.cmp(a));
    let files = dirs.iter().flat_map(|(_, dir)| entries(dir).map(|entry| entry.path()));
    files.filter(|path| path.extension().is_some_and(|end| end == "json")).take(RECORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::description;
    use super::*;
    use crate::runs::tests::record;
    use ktstr::{Record, Verdict};

    #[test]
    fn times_are_those_of_earlier_runs() {
        let dir = tempfile::tempdir().unwrap();
        let preset = ktstr::preset("tiny-1llc").unwrap();
        let variant = description("steady", preset);
        for (run, run_ms) in [("one", 10_000.0), ("two", 20_000.0), ("three", 30_000.0)] {
            let mut record = Record { preset: variant.preset.clone(), ..record("steady", Verdict::Pass) };
            record.host.time = TimeSplit { run_ms, ..TimeSplit::default() };
            record.write(&dir.path().join(run)).unwrap();
        }
        fs::write(dir.path().join("one/damaged.json"), "{").unwrap();
        let costs = Costs::of(dir.path(), Chosen::Tcg);
        assert_eq!(costs.seconds(&variant), 20.0);
        assert_eq!(costs.seconds(&Description { replicas: 3, ..variant.clone() }), 60.0);
        // On a host that is so slow, others take longer, too.
        let other = description("other", preset);
        let unknown = Costs::of(&dir.path().join("absent"), Chosen::Tcg);
        assert!(costs.seconds(&other) > 2.0 * unknown.seconds(&other));
        assert!(
            unknown.seconds(&description("other", ktstr::preset("max-cpu").unwrap())) > 5.0 * unknown.seconds(&other)
        );
        assert_eq!(Costs::of(dir.path(), Chosen::Kvm).measured.len(), 0, "another accelerator's times are no measure");
    }
}
