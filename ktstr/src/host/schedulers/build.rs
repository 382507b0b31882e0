//! Schedulers that are programs of the user's own workspace: cargo builds them when a test needs them.

use crate::host::console::last_lines;
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Names cargo's profile. It is the release profile by default: what is tested is what is shipped, and latencies of an
/// unoptimised scheduler tell nothing.
const PROFILE_ENV: &str = "KTSTR_SCHEDULER_PROFILE";

/// The last of cargo's lines that an error shows.
const SHOWN_LINES: usize = 40;

/// The names of variables that cargo has set for this program. A build script or a test that looked at them would take the next
/// cargo's packages for this program, and be built anew each time.
pub fn variables_of_the_caller() -> impl Iterator<Item = OsString> {
    const PREFIXES: [&str; 6] =
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_NAME", "CARGO_PRIMARY", "CARGO_TARGET_TMPDIR"];
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| PREFIXES.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)))
}

/// A package's program could not be built.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    /// There is no cargo.
    #[error("cannot build the scheduler: `{command}` does not start: {why}; is cargo on the search path?")]
    Start {
        /// The command.
        command: String,
        /// What starting it returned.
        why: String,
    },
    /// It is there and did not succeed.
    #[error("cannot build the scheduler: `{command}` in {} failed ({status}):\n{words}", dir.display())]
    Failed {
        /// The command.
        command: String,
        /// Where it ran.
        dir: PathBuf,
        /// How it ended.
        status: String,
        /// What it said at last.
        words: String,
    },
    /// It succeeded and told of no program.
    #[error("`{command}` in {} built no program {bin:?}", dir.display())]
    Nothing {
        /// The command.
        command: String,
        /// Where it ran.
        dir: PathBuf,
        /// The program.
        bin: String,
    },
}

/// The program `bin` of `package`, built if need be, by the workspace around the running test.
///
/// Processes that ask at once wait for each other by cargo's own lock; the tests of one process ask once.
///
/// # Errors
/// When cargo does not build it.
pub fn program(package: &str, bin: &str) -> Result<PathBuf, BuildError> {
    type Built = HashMap<(String, String), Result<PathBuf, BuildError>>;
    static BUILT: Mutex<Option<Built>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (package.to_owned(), bin.to_owned());
    built.get_or_insert_default().entry(key).or_insert_with(|| Build::of(package, bin).run()).clone()
}

/// One run of cargo.
struct Build<'a> {
    dir: PathBuf,
    words: Vec<OsString>,
    bin: &'a str,
}

impl<'a> Build<'a> {
    fn of(package: &str, bin: &'a str) -> Self {
        let profile = std::env::var(PROFILE_ENV).ok().filter(|name| !name.is_empty());
        let profile = profile.unwrap_or_else(|| "release".to_owned());
        let mut words: Vec<OsString> =
            ["build", "--package", package, "--bin", bin, "--profile", &profile].map(OsString::from).to_vec();
        words.push("--message-format=json-render-diagnostics".into());
        // Where the test was built into, whatever the command line said that built it.
        let own = std::env::current_exe().unwrap_or_default();
        if let Some(target) = crate::settings::target_dir(&own) {
            words.extend(["--target-dir".into(), target.as_os_str().to_owned()]);
        }
        // Cargo and cargo-nextest tell a test so where its package is, and run it there.
        let dir = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        Self { dir: dir.or_else(|| std::env::current_dir().ok()).unwrap_or_default(), words, bin }
    }

    fn run(&self) -> Result<PathBuf, BuildError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(&self.words).current_dir(&self.dir).stdin(Stdio::null()).env_remove("CARGO");
        variables_of_the_caller().for_each(|name| _ = command.env_remove(name));
        let output = command
            .output()
            .map_err(|error: io::Error| BuildError::Start { command: self.command(), why: error.to_string() })?;
        if !output.status.success() {
            return Err(BuildError::Failed {
                command: self.command(),
                dir: self.dir.clone(),
                status: output.status.to_string(),
                words: last_lines(&String::from_utf8_lossy(&output.stderr), SHOWN_LINES).join("\n"),
            });
        }
        let built = executable(&String::from_utf8_lossy(&output.stdout), self.bin);
        built.ok_or_else(|| BuildError::Nothing {
            command: self.command(),
            dir: self.dir.clone(),
            bin: self.bin.to_owned(),
        })
    }

    /// As a person would type it.
    fn command(&self) -> String {
        let words = self.words.iter().map(|word| word.to_string_lossy());
        let words = words.filter(|word| !word.starts_with("--message-format"));
        std::iter::once("cargo".into()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// The program among cargo's messages (Cargo book, External tools, Artifact messages).
fn executable(messages: &str, bin: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter(|message| {
        let target = &message["target"];
        message["reason"] == "compiler-artifact" && target["kind"][0] == "bin" && target["name"] == bin
    });
    programs.find_map(|message| Some(Path::new(message["executable"].as_str()?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let message = |kind: &str, name: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"{name}"}},"executable":{executable}}}"#
            )
        };
        let messages = [
            "cargo says something".to_owned(),
            message("custom-build", "build-script-build", "null"),
            message("lib", "scx_one", "null"),
            message("bin", "scx_other", "\"/t/other\""),
            message("bin", "scx_one", "\"/t/one\""),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        assert_eq!(executable(&messages.join("\n"), "scx_one"), Some("/t/one".into()));
        assert_eq!(executable(&messages[..4].join("\n"), "scx_one"), None);
    }

    #[test]
    fn an_error_has_cargos_words() {
        let error = Build::of("no-such-package", "no-such-bin").run().unwrap_err().to_string();
        assert!(
            error.contains("`cargo build --package no-such-package --bin no-such-bin --profile release"),
            "{error}"
        );
        assert!(error.contains("did not match any packages"), "{error}");
    }
}
