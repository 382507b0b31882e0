//! What the environment says about how tests run.

use crate::scheduler::{Profile, ProfileError};
use ktstr_vmm::Accel;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The seed where none is given.
pub(crate) const DEFAULT_SEED: u64 = 1;

/// How tests run, from environment variables.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `KTSTR_KERNEL`: the kernel's spec, `latest` by default.
    pub kernel: String,
    /// `KTSTR_ACCEL`: `auto` (default), `kvm` or `tcg`.
    pub accel: Accel,
    /// `KTSTR_SEED`: the seed of every random choice, 1 by default.
    pub seed: u64,
    /// `KTSTR_REPLICAS`: how often each test runs, instead of as often as it says itself.
    pub replicas: Option<u32>,
    /// `KTSTR_PROFILE`: the profiles of its scheduler's flags with which each test runs, instead of all that it allows,
    /// separated by commas, such as `plain,llc+steal`.
    pub profiles: Option<Vec<Profile>>,
    /// `KTSTR_ALLOW_SKIP`: names of tests, separated by commas, that may be skipped without failing; `all` for any.
    pub allow_skip: Vec<String>,
    /// `KTSTR_RUN_ID`: the directory below `target/ktstr/runs` that records go to; by default the test runner's own id.
    pub run_id: String,
    /// `KTSTR_KARGS`: additions to the kernel command line, separated by spaces.
    pub kargs: Vec<String>,
    /// `KTSTR_BOOT_TIMEOUT_S`: how long a guest's kernel, and then its agent, may take to come up, where the
    /// default does not do.
    pub boot_timeout: Option<Duration>,
    /// `KTSTR_CONSOLE`: `1` shows the guest's console on standard error as it comes.
    pub console: bool,
    /// `KTSTR_SNAPSHOT`: `off` boots each machine, instead of going on from where another like it said hello.
    pub snapshot: bool,
    /// `KTSTR_TRACE`: `1` keeps what the kernel's scheduler did ([`crate::SchedulePart`]).
    pub trace: bool,
}

/// A variable that cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
#[error("{name}={value:?}: {why}")]
pub struct SettingsError {
    name: &'static str,
    value: String,
    why: String,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// The first variable that has no meaning.
    pub fn from_env() -> Result<Self, SettingsError> {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Self {
            kernel: text("KTSTR_KERNEL").unwrap_or_else(|| "latest".to_owned()),
            accel: parsed("KTSTR_ACCEL", text("KTSTR_ACCEL"))?.unwrap_or_default(),
            seed: parsed("KTSTR_SEED", text("KTSTR_SEED"))?.unwrap_or(DEFAULT_SEED),
            replicas: parsed::<NonZeroU32>("KTSTR_REPLICAS", text("KTSTR_REPLICAS"))?.map(NonZeroU32::get),
            profiles: text("KTSTR_PROFILE").map(|value| profiles("KTSTR_PROFILE", value)).transpose()?,
            allow_skip: text("KTSTR_ALLOW_SKIP")
                .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
                .unwrap_or_default(),
            run_id: Self::run_id_from_env(),
            kargs: text("KTSTR_KARGS")
                .map(|words| words.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            boot_timeout: parsed("KTSTR_BOOT_TIMEOUT_S", text("KTSTR_BOOT_TIMEOUT_S"))?.map(Duration::from_secs),
            console: parsed::<u8>("KTSTR_CONSOLE", text("KTSTR_CONSOLE"))?.is_some_and(|value| value != 0),
            snapshot: text("KTSTR_SNAPSHOT").map_or(Ok(true), |value| on_or_off("KTSTR_SNAPSHOT", value))?,
            trace: parsed::<u8>("KTSTR_TRACE", text("KTSTR_TRACE"))?.is_some_and(|value| value != 0),
        })
    }

    /// The run's id alone, which is there whatever the other variables say.
    pub(crate) fn run_id_from_env() -> String {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        run_id(text("KTSTR_RUN_ID").or_else(|| text("NEXTEST_RUN_ID")))
    }

    /// Whether the test of this name may be skipped without failing; a test's name stands for its variants, too.
    pub fn skip_is_allowed(&self, name: &str) -> bool {
        let stands_for =
            |allowed: &str| name.strip_prefix(allowed).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        self.allow_skip.iter().any(|allowed| stands_for(allowed) || allowed == "all")
    }

    /// The same for a test's replica: the first has the seed itself, the others each one that follows from it.
    #[must_use]
    pub(crate) fn of_replica(&self, replica: u32) -> Self {
        let seed = if replica == 0 { self.seed } else { derived(self.seed, replica) };
        Self { seed, ..self.clone() }
    }
}

/// Another seed, short enough to be typed: a finalised step of splitmix64 (Steele et al., Fast splittable pseudorandom
/// number generators, 2014).
fn derived(seed: u64, number: u32) -> u64 {
    let mut z = seed.wrapping_add(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 32
}

fn parsed<T>(name: &'static str, value: Option<String>) -> Result<Option<T>, SettingsError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let Some(value) = value else { return Ok(None) };
    value.parse().map(Some).map_err(|error: T::Err| SettingsError { name, value, why: error.to_string() })
}

fn on_or_off(name: &'static str, value: String) -> Result<bool, SettingsError> {
    match value.as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(SettingsError { name, value, why: "it is neither `on` nor `off`".to_owned() }),
    }
}

fn profiles(name: &'static str, value: String) -> Result<Vec<Profile>, SettingsError> {
    let profiles: Result<_, ProfileError> = value.split(',').map(str::parse).collect();
    profiles.map_err(|error| SettingsError { name, value, why: error.to_string() })
}

/// The given id, made safe as a file name; without one, this process's.
fn run_id(given: Option<String>) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    match given {
        Some(id) => id.trim_start_matches('.').chars().map(safe).collect(),
        None => format!("pid-{}", std::process::id()),
    }
}

/// Where the records of all runs are: `ktstr/runs` in the target directory that `program`, a test binary, was built into.
pub fn runs_dir(program: &Path) -> PathBuf {
    target_dir(program).map_or_else(|| PathBuf::from("target"), Path::to_owned).join("ktstr/runs")
}

/// The target directory that a program was built into, if it is still there.
pub(crate) fn target_dir(program: &Path) -> Option<&Path> {
    program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_are_file_names() {
        assert_eq!(run_id(Some("../a b".to_owned())), "_a_b");
        assert!(run_id(None).starts_with("pid-"));
    }

    #[test]
    fn replicas_have_seeds_of_their_own() {
        let settings = Settings { seed: 7, ..Settings::from_env().unwrap() };
        let seeds: Vec<u64> = (0..100).map(|replica| settings.of_replica(replica).seed).collect();
        assert_eq!(seeds[0], 7);
        let distinct: std::collections::HashSet<u64> = seeds.iter().copied().collect();
        assert_eq!(distinct.len(), 100);
        let again: Vec<u64> = (0..100).map(|replica| settings.of_replica(replica).seed).collect();
        assert_eq!(again, seeds);
    }

    #[test]
    fn a_test_stands_for_its_variants() {
        let settings = Settings { allow_skip: vec!["a::b".into()], ..Settings::from_env().unwrap() };
        let allowed = ["a::b", "a::b::tiny_1llc", "a::bc", "a"].map(|name| settings.skip_is_allowed(name));
        assert_eq!(allowed, [true, true, false, false]);
    }

    #[test]
    fn profiles_are_separated_by_commas() {
        let profiles = profiles("KTSTR_PROFILE", "plain, llc+steal".to_owned()).unwrap();
        assert_eq!(profiles, [Profile::default(), Profile(vec!["llc".into(), "steal".into()])]);
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let error = parsed::<u64>("KTSTR_SEED", Some("x".to_owned())).unwrap_err().to_string();
        assert!(error.contains("KTSTR_SEED=\"x\""), "{error}");
        let error = profiles("KTSTR_PROFILE", "plain,".to_owned()).unwrap_err().to_string();
        assert!(error.starts_with("KTSTR_PROFILE=\"plain,\": \"\" is no profile: write \"plain\""), "{error}");
    }
}
