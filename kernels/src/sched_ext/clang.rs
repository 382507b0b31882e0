//! The BPF compiler: the newest that is installed.

use crate::command;
use crate::compile::Error;
use crate::progress::Progress;
use crate::search_path;
use std::process::Command;

/// Older ones leave out casts of arena pointers; the verifier then rejects scx_qmap of Linux 7.3. Those before 16 do not
/// compile it.
const SOUND_SINCE: u32 = 22;

/// A clang.
pub(super) struct Clang {
    /// What to call it by.
    pub(super) program: String,
    /// The first line of `--version`.
    pub(super) version: String,
}

impl Clang {
    /// The newest `clang-N` on the search path; `clang` where there is none.
    pub(super) fn find() -> Result<Self, Error> {
        let versions = search_path::versions(&search_path::dirs(), "clang").into_iter().map(|(version, _)| version);
        let program = versions.max().map_or("clang".to_owned(), |version| format!("clang-{version}"));
        let version = command::output(Command::new(&program).arg("--version"));
        let (text, _) = version.map_err(|source| Error::Start { program: program.clone(), source })?;
        Ok(Self { program, version: text.lines().next().unwrap_or_default().trim().to_owned() })
    }

    /// Tells of what is known to go wrong with this one.
    pub(super) fn warn_of_faults(&self, progress: &dyn Progress) {
        if major(&self.version).is_none_or(|major| major < SOUND_SINCE) {
            progress.warn(&format!(
                "{} may build schedulers that the verifier rejects: install clang-{SOUND_SINCE} or newer",
                self.version
            ));
        }
    }
}

/// The 22 of `Debian clang version 22.1.8 (1~deb12u1)`.
fn major(version: &str) -> Option<u32> {
    version.split("version ").nth(1)?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(major("Debian clang version 22.1.8 (1~deb12u1)"), Some(22));
        assert_eq!(major("clang version 19.1.7"), Some(19));
        assert_eq!(major("gcc (Debian 12.2.0-14) 12.2.0"), None);
    }
}
