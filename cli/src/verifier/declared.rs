//! Profiles of flags: those of the schedulers that the tests of this workspace declare.

use super::runs::{Asked, Profile, Source};
use crate::binaries;
use crate::gauntlet::schedulers;
use anyhow::{Context, Result, bail, ensure};
use ktstr::{DeclaredProgram, DeclaredScheduler};
use std::path::Path;
use xshell::Shell;

/// The schedulers that tests declare, with the profiles that are asked for.
#[derive(Debug, Default)]
pub(super) struct Declared(Vec<DeclaredScheduler>);

impl Declared {
    /// Builds the tests and asks them, if flags are asked for.
    pub(super) fn ask(profiles: &[Asked]) -> Result<Self> {
        let picked = |asked: &Asked| match asked {
            Asked::Flags(flags) => Some(flags.clone()),
            Asked::Arguments(_) => None,
        };
        let picked: Vec<_> = profiles.iter().filter_map(picked).collect();
        if picked.is_empty() {
            return Ok(Self::default());
        }
        let shell = Shell::new()?;
        let built = || schedulers(&shell, &binaries::build(&shell, &["--workspace".to_owned()])?, &picked);
        let found = built().context("cannot ask the tests of this workspace for the profiles of schedulers");
        found.map(Self)
    }

    /// The scheduler with these flags, which tests know by its name or by its program.
    pub(super) fn find(&self, source: &Source, flags: &ktstr::Profile) -> Result<(Source, Profile)> {
        let name = source.name();
        let same: Vec<_> = self.0.iter().filter(|one| one.name == name || is_program(source, &one.program)).collect();
        ensure!(
            !same.is_empty(),
            "no test of this workspace declares a scheduler {name}, so it is not known what its profile {flags} is: write \
             {flags}=ARGS (tests with `gauntlet = false` are not asked)"
        );
        let wanted = |one: &&DeclaredScheduler| {
            let found = one.profiles.iter().find(|(profile, _)| is_same(profile, flags))?;
            let profile = Profile { name: found.0.to_string(), args: found.1.clone() };
            Some((Source::from(&one.program), profile))
        };
        let mut meant: Vec<_> = same.iter().filter_map(wanted).collect();
        meant.dedup();
        match meant.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                let mut known: Vec<_> = same.iter().map(|one| one.known.as_str()).collect();
                known.sort_unstable();
                known.dedup();
                bail!("{flags} is no profile of the scheduler {name}; its profiles are {}", known.join("; or "))
            }
            [one, other, ..] => bail!(
                "tests of this workspace declare several schedulers {name}, and with {flags} their arguments are {:?} or {:?}: \
                 write {flags}=ARGS",
                one.1.args.join(" "),
                other.1.args.join(" ")
            ),
        }
    }
}

/// Whether they are the same flags, in whatever order.
fn is_same(one: &ktstr::Profile, other: &ktstr::Profile) -> bool {
    let sorted = |profile: &ktstr::Profile| {
        let mut flags = profile.0.clone();
        flags.sort_unstable();
        flags.dedup();
        flags
    };
    sorted(one) == sorted(other)
}

fn is_program(source: &Source, program: &DeclaredProgram) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    match (source, program) {
        (Source::Path(one), DeclaredProgram::Path(other)) => whole(one).is_some_and(|one| Some(one) == whole(other)),
        (source, program) => *source == Source::from(program),
    }
}

impl From<&DeclaredProgram> for Source {
    fn from(program: &DeclaredProgram) -> Self {
        match program {
            DeclaredProgram::Package { package, bin } => Self::Package { package: package.clone(), bin: bin.clone() },
            DeclaredProgram::Path(path) => Self::Path(path.clone()),
            DeclaredProgram::Name(name) => Self::Name(name.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, bin: &str, profiles: &[(&str, &str)]) -> DeclaredScheduler {
        let profile =
            |(name, args): &(&str, &str)| (name.parse().unwrap(), args.split_whitespace().map(str::to_owned).collect());
        DeclaredScheduler {
            name: name.to_owned(),
            program: DeclaredProgram::Package { package: "p".to_owned(), bin: bin.to_owned() },
            profiles: profiles.iter().map(profile).collect(),
            known: format!("plain, {name}s"),
        }
    }

    #[track_caller]
    fn check(scheduler: &str, flags: &str, expected: Result<(&str, &str), &str>) {
        let all = vec![
            declared("one", "scx_one", &[("plain", "-v"), ("a+b", "-v -a -b")]),
            declared("one", "scx_one", &[("plain", "-v"), ("a+b", "-v -a -b")]),
            declared("two", "scx_two", &[("plain", ""), ("a", "-a")]),
            declared("two", "scx_two", &[("plain", "-q")]),
        ];
        let found = Declared(all).find(&scheduler.parse().unwrap(), &flags.parse().unwrap());
        let found =
            found.map(|(source, profile)| (source.name(), format!("{}: {}", profile.name, profile.args.join(" "))));
        match expected {
            Ok((bin, profile)) => assert_eq!(found.unwrap(), (bin.to_owned(), profile.to_owned())),
            Err(words) => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(words), "{words:?} is not in {error}");
            }
        }
    }

    #[test]
    fn flags_are_looked_up_by_the_schedulers_name_or_program() {
        check("one", "b+a", Ok(("scx_one", "a+b: -v -a -b")));
        check("scx_two", "a", Err("no test of this workspace declares a scheduler scx_two"));
        check("two", "a", Ok(("scx_two", "a: -a")));
        check("one", "plain", Ok(("scx_one", "plain: -v")));
    }

    #[test]
    fn what_is_not_known_is_said() {
        check("one", "c", Err("c is no profile of the scheduler one; its profiles are plain, ones"));
        check("three", "a", Err("write a=ARGS"));
        check("two", "plain", Err("their arguments are \"\" or \"-q\": write plain=ARGS"));
    }
}
