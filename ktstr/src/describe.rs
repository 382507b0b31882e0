//! What a test says of itself instead of running, for tools that choose among tests.

use crate::host::attempt::default_memory_bytes;
use crate::host::failure::{FailedRun, Failure};
use crate::record::variant_name;
use crate::scheduler::{DeclaredScheduler, Profile, ProfileError, Scheduler};
use crate::settings::Settings;
use crate::spec::TestSpec;
use crate::verdict::Verdict;
use ktstr_wire::Machine;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};

/// Names the file to which each test of a program appends its [`Description`], a line of JSON, instead of running.
pub const DESCRIBE_ENV: &str = "KTSTR_DESCRIBE";

/// What a test declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name by which a test runner knows it.
    pub name: String,
    /// The name of the test as declared.
    pub test: String,
    /// The preset, for a variant.
    pub preset: Option<String>,
    /// The machine, with the least memory that it will have.
    pub machine: Machine,
    /// Length of the scenario in guest time.
    pub duration_s: f64,
    /// How often it runs, with each profile.
    pub replicas: u32,
    /// The profiles with which it runs, of those that `KTSTR_PROFILE` names; `None` is a run without one, as with a scheduler
    /// that has no flags, or where the test itself has to say why it has no profiles.
    pub profiles: Vec<Option<Profile>>,
    /// What is special about it, in a few words each.
    pub features: Vec<String>,
    /// Its schedulers that are programs, those that it switches to behind its own.
    pub schedulers: Vec<DeclaredScheduler>,
}

impl Description {
    /// The profile, where it is of one only.
    pub fn profile(&self) -> Option<&Profile> {
        match self.profiles.as_slice() {
            [Some(profile)] => Some(profile),
            _ => None,
        }
    }

    /// The name, and the profile where it is of one only, see [`Record::variant`](crate::Record::variant).
    pub fn variant(&self) -> String {
        variant_name(&self.name, self.profile())
    }
}

/// Describes the test if that is what is asked for.
pub(crate) fn instead_of_running(spec: &TestSpec) -> Option<Result<(), Failure>> {
    let path = std::env::var_os(DESCRIBE_ENV)?;
    let picked = Settings::from_env().ok().and_then(|settings| settings.profiles);
    let described = describe(spec, picked.as_deref(), File::options().create(true).append(true).open(path));
    Some(described.map_err(|error| {
        let verdict = Verdict::Inconclusive { reason: format!("the file in {DESCRIBE_ENV}: {error}") };
        let again = "the same command".to_owned();
        let record = Err("it was only described".to_owned());
        Failure(vec![FailedRun { what: spec.name(), verdict, repro: None, again, record }])
    }))
}

/// The profiles of the test among the picked ones.
fn profiles(spec: &TestSpec, picked: Option<&[Profile]>) -> Vec<Option<Profile>> {
    let has_flags = !spec.scheduler.flags.is_empty();
    let valid = |picked: Option<&[Profile]>| match spec.profiles(picked) {
        Ok(profiles) => profiles.into_iter().map(|profile| has_flags.then_some(profile)).collect(),
        Err(ProfileError::NotValid { .. }) => Vec::new(),
        Err(_) => vec![None],
    };
    let Some(picked) = picked else { return valid(None) };
    let mut all: Vec<Option<Profile>> =
        picked.iter().flat_map(|profile| valid(Some(std::slice::from_ref(profile)))).collect();
    let mut seen = HashSet::new();
    all.retain(|profile| seen.insert(profile.clone()));
    all
}

/// One write for each line, as several processes may write at once.
fn describe(spec: &TestSpec, picked: Option<&[Profile]>, file: io::Result<File>) -> io::Result<()> {
    let schedulers = std::iter::once(&spec.scheduler).chain(spec.schedulers);
    let description = Description {
        name: spec.name(),
        test: spec.test().to_owned(),
        preset: spec.preset.map(str::to_owned),
        machine: spec.machine(default_memory_bytes(spec, 0)),
        duration_s: spec.duration_s,
        replicas: spec.replicas,
        profiles: profiles(spec, picked),
        features: features(spec),
        schedulers: schedulers.filter_map(|scheduler| DeclaredScheduler::of(scheduler, picked)).collect(),
    };
    let line = serde_json::to_string(&description)? + "\n";
    file?.write_all(line.as_bytes())
}

fn features(spec: &TestSpec) -> Vec<String> {
    let asserted = serde_json::to_value(spec.assert).unwrap_or_default();
    let fields = asserted.as_object().into_iter().flatten();
    let set = fields.filter(|(_, value)| !value.is_null()).map(|(field, _)| format!("asserts {field}"));
    let flags = [
        ("performance mode", spec.performance_mode),
        ("programs", !spec.programs.is_empty()),
        ("kernel parameters", !spec.kargs.is_empty()),
        ("kernel settings", !spec.sysctls.is_empty()),
        ("memory", spec.memory_mb.is_some()),
        ("replicas", spec.replicas > 1),
        ("fails", spec.expect_err.is_some()),
        ("scheduler arguments", !spec.extra_sched_args.is_empty()),
        ("a watchdog timeout", spec.watchdog_timeout_s.is_some()),
        ("BPF map writes", !spec.bpf_map_write.is_empty()),
        ("several schedulers", !spec.schedulers.is_empty()),
        ("longer than 5 s", spec.duration_s > 5.0),
    ];
    let flags = flags.into_iter().filter(|(_, is_set)| *is_set).map(|(feature, _)| feature.to_owned());
    let scheduler = (spec.scheduler != Scheduler::EEVDF).then(|| format!("scheduler {}", spec.scheduler.name));
    set.chain(flags).chain(scheduler).chain([format!("{} workers in a cgroup", spec.workers_per_cgroup)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::Assert;
    use crate::scheduler::{Flag, Scheduler, SchedulerSpec};
    use ktstr_wire::Topology;

    #[test]
    fn profiles_are_narrowed() {
        const FLAGS: &[Flag] =
            &[Flag { name: "a", args: &["-a"], requires: &[] }, Flag { name: "b", args: &["-b"], requires: &["a"] }];
        const WITH_FLAGS: Scheduler = Scheduler::new("s").binary(SchedulerSpec::Name("s")).flags(FLAGS);
        let check = |scheduler: Scheduler,
                     excluded: &'static [&'static str],
                     picked: Option<&[&str]>,
                     expected: &[Option<&str>]| {
            let spec =
                TestSpec { scheduler, excluded_flags: excluded, ..TestSpec::new("a::b", Topology::new(1, 1, 1)) };
            let picked = picked.map(|picked| picked.iter().map(|text| text.parse().unwrap()).collect::<Vec<Profile>>());
            let found = profiles(&spec, picked.as_deref());
            let found: Vec<Option<String>> = found.iter().map(|one| one.as_ref().map(ToString::to_string)).collect();
            assert_eq!(found.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
        };
        check(WITH_FLAGS, &[], None, &[Some("plain"), Some("a"), Some("a+b")]);
        check(WITH_FLAGS, &[], Some(&["b+a", "b", "c", "a+b"]), &[Some("a+b")]);
        check(WITH_FLAGS, &["c"], None, &[None]);
        check(Scheduler::EEVDF, &[], None, &[None]);
        check(Scheduler::EEVDF, &[], Some(&["plain"]), &[None]);
        check(Scheduler::EEVDF, &[], Some(&["a"]), &[]);
    }

    #[test]
    fn a_description_is_a_line_of_json() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let assert = Assert { max_gap_ms: Some(5), ..Assert::unset() };
        let spec = TestSpec { assert, kargs: &["x=1"], ..TestSpec::new("a::b", Topology::new(1, 2, 1)) };
        let preset = ktstr_presets::named("smt-2llc").unwrap();
        for spec in [&spec, &spec.on(preset)] {
            describe(spec, None, File::options().append(true).open(file.path())).unwrap();
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let described: Vec<Description> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(described[0].features, ["asserts max_gap_ms", "kernel parameters", "2 workers in a cgroup"]);
        assert_eq!((described[0].name.as_str(), described[0].machine.topology.cpus()), ("b", 2));
        assert_eq!((described[1].name.as_str(), described[1].test.as_str()), ("b::smt_2llc", "b"));
        assert_eq!((described[1].preset.as_deref(), described[1].machine.topology.cpus()), (Some("smt-2llc"), 8));
    }
}
