//! What is run: each scheduler with each profile on each kernel.

use anyhow::{Context, Result, ensure};
use ktstr_kernels::Spec;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a scheduler comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A file.
    Path(PathBuf),
    /// A program on the search path.
    Name(String),
    /// A program of a package of the workspace.
    Package { package: String, bin: String },
}

impl FromStr for Source {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix("package:") {
            Some(package) => Self::Package { package: package.to_owned(), bin: package.to_owned() },
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
            Self::Name(name) | Self::Package { bin: name, .. } => name.clone(),
        }
    }

    /// Its program on this host; a package is built.
    pub(super) fn program(&self) -> Result<PathBuf> {
        let path = match self {
            Self::Path(path) => path.clone(),
            Self::Name(name) => {
                let found = ktstr::find_program(name, &std::env::var_os("PATH").unwrap_or_default());
                found.ok().with_context(|| {
                    format!("there is no scheduler {name} on the search path: give its path, or package:NAME for one of this workspace")
                })?
            }
            Self::Package { package, bin } => ktstr::build_scheduler(package, bin)?,
        };
        let path = path.canonicalize().with_context(|| format!("cannot find the scheduler {}", path.display()))?;
        let meta = path.metadata().with_context(|| format!("cannot look at the scheduler {}", path.display()))?;
        ensure!(
            meta.is_file() && meta.permissions().mode() & 0o111 != 0,
            "the scheduler {} is no program: give the file of one, with the permission to run it",
            path.display()
        );
        Ok(path)
    }
}

/// Arguments that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) args: Vec<String>,
}

/// A profile, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Arguments under a name.
    Arguments(Profile),
    /// Flags of a scheduler that tests declare.
    Flags(ktstr::Profile),
}

impl FromStr for Asked {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((name, args)) = text.split_once('=') else { return Ok(Self::Flags(text.parse()?)) };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
        ensure!(
            !name.is_empty() && name.chars().all(is_plain),
            "{name:?} is no profile's name: use letters, digits and -_+."
        );
        let args = args.split_whitespace().map(str::to_owned).collect();
        Ok(Self::Arguments(Profile { name: name.to_owned(), args }))
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

/// All of them, the first first. `find` tells which scheduler, and which arguments, flags of one mean.
pub(super) fn all(
    schedulers: &[Source],
    kernels: &[Spec],
    profiles: &[Asked],
    find: impl Fn(&Source, &ktstr::Profile) -> Result<(Source, Profile)>,
) -> Result<Vec<Run>> {
    let plain = [Asked::Arguments(Profile::default())];
    let profiles = if profiles.is_empty() { &plain } else { profiles };
    let mut runs = Vec::new();
    for scheduler in schedulers {
        for kernel in kernels {
            for profile in profiles {
                let (scheduler, profile) = match profile {
                    Asked::Arguments(profile) => (scheduler.clone(), profile.clone()),
                    Asked::Flags(flags) => find(scheduler, flags)?,
                };
                runs.push(Run { scheduler, kernel: kernel.clone(), profile });
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources() {
        let check = |text: &str, expected| assert_eq!(text.parse(), Ok(expected), "{text}");
        check("scx_simple", Source::Name("scx_simple".into()));
        check("./scx_simple", Source::Path("./scx_simple".into()));
        check("package:scx-ktstr", Source::Package { package: "scx-ktstr".into(), bin: "scx-ktstr".into() });
        assert_eq!(Source::Path("a/scx_b".into()).name(), "scx_b");
    }

    #[test]
    fn profiles() {
        let read = |text: &str| match text.parse().ok()? {
            Asked::Arguments(profile) => Some((profile.name, profile.args.join("|"))),
            Asked::Flags(flags) => Some((flags.to_string(), "flags".into())),
        };
        assert_eq!(read("llc=--llc -s 2"), Some(("llc".into(), "--llc|-s|2".into())));
        assert_eq!(read("plain="), Some(("plain".into(), String::new())));
        assert_eq!(read("llc+steal"), Some(("llc+steal".into(), "flags".into())));
        assert_eq!(read("../x=1"), None);
        assert_eq!(read("llc+"), None);
    }

    #[test]
    fn each_with_each() {
        let schedulers = ["a", "b"].map(|name| Source::Name(name.into()));
        let kernels = ["7.3", "latest"].map(|spec| spec.parse::<Spec>().unwrap());
        let find = |scheduler: &Source, flags: &ktstr::Profile| {
            Ok((scheduler.clone(), Profile { name: flags.to_string(), args: vec!["-f".to_owned()] }))
        };
        let names = |profiles: &[&str]| {
            let profiles: Vec<_> = profiles.iter().map(|text| text.parse().unwrap()).collect();
            let runs = all(&schedulers, &kernels, &profiles, find).unwrap();
            runs.iter().map(Run::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["a on 7.3", "a on latest", "b on 7.3", "b on latest"]);
        assert_eq!(names(&["x=1", "y"])[6..], ["b on latest, x", "b on latest, y"]);
    }
}
