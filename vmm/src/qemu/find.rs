//! Which QEMU there is.

use super::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// A QEMU program.
#[derive(Debug, Clone)]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// What it says it is.
    pub version: Version,
    /// The same in its own words, a distribution's number included.
    pub release: String,
}

/// A QEMU release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

const OLDEST: Version = Version { major: 7, minor: 2 };

impl Qemu {
    /// The QEMU in `KTSTR_QEMU`, else `qemu-system-x86_64` on the path.
    ///
    /// # Errors
    /// When there is none, or it is too old.
    pub fn find() -> Result<Self, Error> {
        // Asking a program for its version starts it, so one that has told is not asked again.
        static FOUND: Mutex<Option<Qemu>> = Mutex::new(None);
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        match &*found {
            Some(qemu) => Ok(qemu.clone()),
            None => Ok(found.insert(Self::ask()?).clone()),
        }
    }

    fn ask() -> Result<Self, Error> {
        let chosen = std::env::var_os("KTSTR_QEMU").filter(|path| !path.is_empty());
        let program = PathBuf::from(chosen.unwrap_or_else(|| "qemu-system-x86_64".into()));
        let output = match Command::new(&program).arg("--version").output() {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotFound { program }),
            Err(source) => return Err(Error::Start { program, source }),
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match parse(&text) {
            None => Err(Error::UnknownVersion { program, output: text }),
            Some(version) if version < OLDEST => Err(Error::TooOld { program, version }),
            Some(version) => Ok(Self { program, version, release: text.lines().next().unwrap_or_default().to_owned() }),
        }
    }
}

fn parse(text: &str) -> Option<Version> {
    let numbers = text.strip_prefix("QEMU emulator version ")?;
    let mut parts = numbers.split(|c: char| !c.is_ascii_digit());
    Some(Version { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(u32, u32)>) {
        assert_eq!(parse(text).map(|version| (version.major, version.minor)), expected, "{text}");
    }

    #[test]
    fn reads_what_distributions_print() {
        check("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright", Some((7, 2)));
        check("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1)", Some((10, 0)));
        check("QEMU emulator version 11.0.50", Some((11, 0)));
        check("busybox", None);
    }
}
