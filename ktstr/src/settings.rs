//! What the environment says about how tests run.

use ktstr_vmm::Accel;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How tests run, from environment variables.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `KTSTR_KERNEL`: the kernel's spec, `latest` by default.
    pub kernel: String,
    /// `KTSTR_ACCEL`: `auto` (default), `kvm` or `tcg`.
    pub accel: Accel,
    /// `KTSTR_SEED`: the seed of every random choice, 1 by default.
    pub seed: u64,
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
            seed: parsed("KTSTR_SEED", text("KTSTR_SEED"))?.unwrap_or(1),
            allow_skip: text("KTSTR_ALLOW_SKIP")
                .map(|names| names.split(',').map(|name| name.trim().to_owned()).collect())
                .unwrap_or_default(),
            run_id: Self::run_id_from_env(),
            kargs: text("KTSTR_KARGS")
                .map(|words| words.split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            boot_timeout: parsed("KTSTR_BOOT_TIMEOUT_S", text("KTSTR_BOOT_TIMEOUT_S"))?.map(Duration::from_secs),
            console: parsed::<u8>("KTSTR_CONSOLE", text("KTSTR_CONSOLE"))?.is_some_and(|value| value != 0),
        })
    }

    /// The run's id alone, which is there whatever the other variables say.
    pub(crate) fn run_id_from_env() -> String {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        run_id(text("KTSTR_RUN_ID").or_else(|| text("NEXTEST_RUN_ID")))
    }

    /// Whether the test of this name may be skipped without failing.
    pub fn skip_is_allowed(&self, name: &str) -> bool {
        self.allow_skip.iter().any(|allowed| allowed == name || allowed == "all")
    }
}

fn parsed<T>(name: &'static str, value: Option<String>) -> Result<Option<T>, SettingsError>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let Some(value) = value else { return Ok(None) };
    value.parse().map(Some).map_err(|error: T::Err| SettingsError { name, value, why: error.to_string() })
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
    let target = program.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.map_or_else(|| PathBuf::from("target"), Path::to_owned).join("ktstr/runs")
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
    fn a_bad_value_names_its_variable() {
        let error = parsed::<u64>("KTSTR_SEED", Some("x".to_owned())).unwrap_err().to_string();
        assert!(error.contains("KTSTR_SEED=\"x\""), "{error}");
    }
}
