//! What is run: each scheduler with each profile on each kernel.

use anyhow::{Context, Result, ensure};
use ktstr_kernels::Spec;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a scheduler comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A file.
    Path(PathBuf),
    /// A program on the search path.
    Name(String),
    /// A package of the workspace.
    Package(String),
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix("package:") {
            Some(package) => Self::Package(package.to_owned()),
            None if text.contains('/') => Self::Path(text.into()),
            None => Self::Name(text.to_owned()),
        })
    }
}

impl Source {
    /// Its name in tables.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Name(name) | Self::Package(name) => name.clone(),
        }
    }

    /// Its program on this host; a package is built.
    pub(super) fn program(&self) -> Result<PathBuf> {
        let path = match self {
            Self::Path(path) => path.clone(),
            Self::Name(name) => ktstr::find_program(name, &std::env::var_os("PATH").unwrap_or_default())?,
            Self::Package(package) => ktstr::build_scheduler(package, package)?,
        };
        path.canonicalize().with_context(|| format!("cannot find the scheduler {}", path.display()))
    }
}

/// Arguments that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) args: Vec<String>,
}

impl FromStr for Profile {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, args) = text.split_once('=').with_context(|| format!("{text:?} is no profile: write NAME=ARGS"))?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(is_plain),
            "{name:?} is no profile's name: use letters, digits and -_+."
        );
        Ok(Self { name: name.to_owned(), args: args.split_whitespace().map(str::to_owned).collect() })
    }
}

/// One scheduler with one profile on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) scheduler: Source,
    pub(super) kernel: Spec,
    pub(super) profile: Profile,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.scheduler.name(), self.kernel)?;
        if self.profile.name.is_empty() { Ok(()) } else { write!(f, ", {}", self.profile.name) }
    }
}

/// All of them, the first first.
pub(super) fn all(schedulers: &[Source], kernels: &[Spec], profiles: &[Profile]) -> Vec<Run> {
    let plain = [Profile::default()];
    let profiles = if profiles.is_empty() { &plain } else { profiles };
    let mut runs = Vec::new();
    for scheduler in schedulers {
        for kernel in kernels {
            for profile in profiles {
                let (scheduler, kernel, profile) = (scheduler.clone(), kernel.clone(), profile.clone());
                runs.push(Run { scheduler, kernel, profile });
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let check = |text: &str, expected| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("scx_simple", Source::Name("scx_simple".into()));
        check("./scx_simple", Source::Path("./scx_simple".into()));
        check("package:scx-ktstr", Source::Package("scx-ktstr".into()));
        assert_eq!(Source::Path("a/scx_b".into()).name(), "scx_b");
    }

    #[test]
    fn profiles() {
        let read = |text: &str| text.parse::<Profile>().ok().map(|profile| (profile.name, profile.args.join("|")));
        assert_eq!(read("llc=--llc -s 2"), Some(("llc".into(), "--llc|-s|2".into())));
        assert_eq!(read("plain="), Some(("plain".into(), String::new())));
        assert_eq!(read("../x=1"), None);
        assert_eq!(read("llc"), None);
    }

    #[test]
    fn each_with_each() {
        let schedulers = ["a", "b"].map(|name| Source::Name(name.into()));
        let kernels = ["7.3", "latest"].map(|spec| spec.parse::<Spec>().unwrap());
        let names =
            |profiles: &[Profile]| all(&schedulers, &kernels, profiles).iter().map(Run::to_string).collect::<Vec<_>>();
        assert_eq!(names(&[]), ["a on 7.3", "a on latest", "b on 7.3", "b on latest"]);
        assert_eq!(names(&["x=1".parse().unwrap()])[3], "b on latest, x");
    }
}
