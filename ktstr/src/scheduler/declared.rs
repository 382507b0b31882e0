//! What a scheduler says of itself to tools that start it without a test.

use crate::scheduler::{MAX_PROFILES, Profile, Scheduler, SchedulerSpec};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A scheduler that is a program, as tests declare it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredScheduler {
    /// The name by which records and reports know it.
    pub name: String,
    /// Its program.
    pub program: DeclaredProgram,
    /// Its profiles, and all arguments of its program with each: those that `KTSTR_PROFILE` names and it has, or the first
    /// [`MAX_PROFILES`].
    pub profiles: Vec<(Profile, Vec<String>)>,
    /// The names of its first profiles, for a person, whatever `KTSTR_PROFILE` says.
    pub known: String,
}

/// Where a program comes from, see [`SchedulerSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeclaredProgram {
    /// A program of the workspace.
    Package {
        /// The package.
        package: String,
        /// Its binary.
        bin: String,
    },
    /// A file, from the root.
    Path(PathBuf),
    /// A program on the search path.
    Name(String),
}

impl DeclaredScheduler {
    /// `None` for what is no program, or has flags that are wrongly declared, which its tests say.
    pub(crate) fn of(scheduler: &Scheduler, picked: Option<&[Profile]>) -> Option<Self> {
        let program = match scheduler.binary {
            SchedulerSpec::Package { package, bin } => {
                DeclaredProgram::Package { package: package.to_owned(), bin: bin.to_owned() }
            }
            SchedulerSpec::Path(path) => DeclaredProgram::Path(std::path::absolute(path).ok()?),
            SchedulerSpec::Name(name) => DeclaredProgram::Name(name.to_owned()),
            SchedulerSpec::KernelBuiltin { .. } | SchedulerSpec::None => return None,
        };
        let all = scheduler.profiles(&[], &[]).ok()?;
        let known = all.clone().list();
        let profiles: Vec<Profile> = match picked {
            Some(picked) => picked.iter().filter_map(|profile| all.find_valid(profile)).collect(),
            None => all.take(MAX_PROFILES).collect(),
        };
        let profiles = profiles.into_iter().map(|profile| (profile.clone(), scheduler.arguments(&profile))).collect();
        Some(Self { name: scheduler.name.to_owned(), program, profiles, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::Flag;

    const FLAGS: &[Flag] =
        &[Flag { name: "a", args: &["-a"], requires: &[] }, Flag { name: "b", args: &["-b", "2"], requires: &["a"] }];
    const SCHEDULER: Scheduler =
        Scheduler::new("s").binary(SchedulerSpec::package("p")).sched_args(&["-v"]).flags(FLAGS);

    fn check(picked: Option<&[&str]>, expected: &[(&str, &str)]) {
        let picked = picked.map(|picked| picked.iter().map(|text| text.parse().unwrap()).collect::<Vec<Profile>>());
        let declared = DeclaredScheduler::of(&SCHEDULER, picked.as_deref()).unwrap();
        let found: Vec<_> =
            declared.profiles.iter().map(|(profile, args)| (profile.to_string(), args.join(" "))).collect();
        let expected: Vec<_> = expected.iter().map(|(name, args)| ((*name).to_owned(), (*args).to_owned())).collect();
        assert_eq!((found, declared.known.as_str()), (expected, "plain, a, a+b"));
    }

    #[test]
    fn profiles_have_all_arguments() {
        check(None, &[("plain", "-v"), ("a", "-v -a"), ("a+b", "-v -a -b 2")]);
        check(Some(&["b+a", "b", "c"]), &[("a+b", "-v -a -b 2")]);
        check(Some(&["plain"]), &[("plain", "-v")]);
    }

    #[test]
    fn only_programs_are_told_of() {
        assert_eq!(DeclaredScheduler::of(&Scheduler::EEVDF, None), None);
        let path = Scheduler::new("s").binary(SchedulerSpec::Path("bin/x"));
        let expected = DeclaredProgram::Path(std::env::current_dir().unwrap().join("bin/x"));
        assert_eq!(DeclaredScheduler::of(&path, None).map(|declared| declared.program), Some(expected));
    }
}
