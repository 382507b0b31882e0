//! What a test that did not pass prints, and the command that runs it again.

use crate::record::Record;
use crate::settings::Settings;
use crate::spec::TestSpec;
use crate::verdict::Verdict;
use ktstr_vmm::Accel;
use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// The runs of a test that are no pass, as the test runner prints them.
pub struct Failure(pub(crate) Vec<FailedRun>);

/// One run that is no pass.
pub(crate) struct FailedRun {
    /// The test, and which of its profiles and replicas.
    pub(crate) what: String,
    pub(crate) verdict: Verdict,
    /// The command that runs it again.
    pub(crate) again: String,
    /// What came of a look at the crash of its scheduler, if there was one.
    pub(crate) repro: Option<String>,
    /// The file of its record.
    pub(crate) record: Result<PathBuf, String>,
}

/// The command that runs the same thing again, and only that: a replica is a run of its own with that replica's seed.
pub(crate) fn again(spec: &TestSpec, settings: Option<&Settings>, record: &Record) -> String {
    let asked = settings.map_or(Accel::Auto, |settings| settings.accel);
    let accel = record.accel.map_or_else(|| asked.to_string(), |accel| accel.to_string());
    let kernel = settings.map_or("latest", |settings| &settings.kernel);
    let mut command = assignment("KTSTR_SEED", &record.seed.to_string());
    command += &assignment("KTSTR_ACCEL", &accel);
    command += &assignment("KTSTR_KERNEL", kernel);
    if record.replica > 0 || spec.replicas > 1 {
        command += &assignment("KTSTR_REPLICAS", "1");
    }
    let picked = settings.and_then(|settings| settings.profiles.as_deref()).unwrap_or_default();
    let profiles = record.profile.as_ref().map_or(picked, std::slice::from_ref);
    if !profiles.is_empty() {
        let profiles: Vec<String> = profiles.iter().map(ToString::to_string).collect();
        command += &assignment("KTSTR_PROFILE", &profiles.join(","));
    }
    if let Some(kargs) = settings.map(|settings| settings.kargs.join(" ")).filter(|kargs| !kargs.is_empty()) {
        command += &assignment("KTSTR_KARGS", &kargs);
    }
    command += &format!("cargo test -- --exact {}", spec.name());
    if spec.preset.is_some() {
        command += " --ignored";
    }
    command
}

/// `NAME=value ` before a command, as a shell reads it.
#[must_use]
pub fn assignment(name: &str, value: &str) -> String {
    // Only NUL cannot be quoted, and no variable holds one.
    let quoted = shlex::try_quote(value).unwrap_or(Cow::Borrowed(value));
    format!("{name}={quoted} ")
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, run) in self.0.iter().enumerate() {
            let before = if number == 0 { "" } else { "\n" };
            write!(f, "{before}{run}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FailedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.what, self.verdict)?;
        match &self.record {
            Ok(path) => writeln!(f, "  record: {}", path.display())?,
            Err(error) => writeln!(f, "  no record could be written: {error}")?,
        }
        for line in self.repro.iter().flat_map(|text| text.lines()) {
            writeln!(f, "  repro:  {line}")?;
        }
        write!(f, "  again:  {}", self.again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_was_assigned() {
        for value in ["latest", "", "path:/srv/my kernels/7.1", "quiet nohz_full=1-3", "a'b", "\"$HOME\" `id` \\"] {
            let command = format!("{}env", assignment("KTSTR_VALUE", value));
            let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
            let expected = format!("KTSTR_VALUE={value}");
            assert!(String::from_utf8(output.stdout).unwrap().lines().any(|line| line == expected), "{command}");
        }
    }
}
