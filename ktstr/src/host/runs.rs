//! All runs of one test: with each profile of its scheduler, as often as is wanted.

use crate::host::failure::{FailedRun, Failure, again};
use crate::host::reason::reason;
use crate::host::run::{blank_record, fill_record};
use crate::record::Record;
use crate::scheduler::{Profile, ProfileError};
use crate::settings::{Settings, SettingsError, runs_dir};
use crate::spec::TestSpec;
use crate::verdict::Verdict;

type Given = Result<Settings, SettingsError>;

/// Runs the test.
pub(crate) fn run(spec: &TestSpec) -> Result<(), Failure> {
    let settings = Settings::from_env();
    let failed: Vec<FailedRun> = match profiles(spec, &settings) {
        Ok(profiles) => each(spec, &settings, &profiles),
        Err(error) => refused(spec, &settings, &error).into_iter().collect(),
    };
    if failed.is_empty() { Ok(()) } else { Err(Failure(failed)) }
}

/// The profiles with which it runs; a scheduler without flags has one run without any.
fn profiles(spec: &TestSpec, settings: &Given) -> Result<Vec<Option<Profile>>, ProfileError> {
    // What is wrong with the settings is for one run to say.
    let Ok(settings) = settings else { return Ok(vec![None]) };
    let has_flags = !spec.scheduler.flags.is_empty();
    let profiles = spec.profiles(settings.profiles.as_deref())?;
    Ok(profiles.into_iter().map(|profile| has_flags.then_some(profile)).collect())
}

fn each(spec: &TestSpec, settings: &Given, profiles: &[Option<Profile>]) -> Vec<FailedRun> {
    let replicas = settings.as_ref().ok().and_then(|settings| settings.replicas).unwrap_or(spec.replicas);
    let all: Vec<Profile> = profiles.iter().flatten().cloned().collect();
    let each = profiles.iter().map(|profile| spec.with(profile.clone()));
    each.flat_map(|spec| {
        (0..replicas).filter_map(|replica| run_once(&spec, settings, &all, replica)).collect::<Vec<_>>()
    })
    .collect()
}

/// Runs it once; what comes back is no pass.
fn run_once(spec: &TestSpec, settings: &Given, all: &[Profile], replica: u32) -> Option<FailedRun> {
    let settings = settings.as_ref().map(|settings| settings.of_replica(replica));
    let seed = settings.as_ref().map_or(0, |settings| settings.seed);
    let mut record = blank_record(spec, replica, seed);
    record.host.profiles = all.to_vec();
    match &settings {
        Ok(settings) => {
            if let Err(error) = fill_record(spec, settings, &mut record) {
                record.verdict = Verdict::Inconclusive { reason: reason(&error) };
            }
        }
        Err(error) => record.verdict = Verdict::Inconclusive { reason: reason(error) },
    }
    conclude(spec, settings.ok().as_ref(), record)
}

/// There is no profile to run it with.
fn refused(spec: &TestSpec, settings: &Given, error: &ProfileError) -> Option<FailedRun> {
    let settings = settings.as_ref().ok();
    let mut record = blank_record(spec, 0, settings.map_or(0, |settings| settings.seed));
    record.verdict = Verdict::Inconclusive { reason: reason(error) };
    conclude(spec, settings, record)
}

/// Writes the record; what comes back is no pass.
fn conclude(spec: &TestSpec, settings: Option<&Settings>, mut record: Record) -> Option<FailedRun> {
    record.host.again = again(spec, settings, &record);
    let program = std::env::current_exe().unwrap_or_default();
    let written =
        record.write(&runs_dir(&program).join(Settings::run_id_from_env())).map_err(|error| error.to_string());
    let skip_allowed = settings.is_some_and(|settings| settings.skip_is_allowed(&spec.name()));
    let verdict = match (&record.verdict, &written) {
        (Verdict::Pass, Ok(_)) => return None,
        (Verdict::Skip { .. }, Ok(_)) if skip_allowed => return None,
        // A pass that nobody can look up is not one.
        (Verdict::Pass, Err(error)) => Verdict::Inconclusive { reason: format!("cannot write the record: {error}") },
        (other, _) => (*other).clone(),
    };
    let repro = record.repro.as_ref().map(|repro| repro.summary());
    Some(FailedRun { what: record.title(), verdict, repro, again: record.host.again, record: written })
}
