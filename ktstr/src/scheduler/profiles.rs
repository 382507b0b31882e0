//! The sets of a scheduler's flags that make sense in a test.

use crate::scheduler::{Flag, Profile, ProfileError, Scheduler};
use crate::spec::TestSpec;
use std::collections::BTreeSet;

/// The most profiles with which one test runs by itself: at a few seconds each they are minutes. Who wants others names them.
pub const MAX_PROFILES: usize = 64;

/// Flags by their places in the declaration.
type Set = BTreeSet<usize>;

/// All profiles of a scheduler that a test allows, the smallest first, and those of one size in the order of declaration.
///
/// Each is found when it is asked for: with `n` flags there may be `2^n`.
#[derive(Debug, Clone)]
pub struct Profiles {
    flags: &'static [Flag],
    /// What each flag requires.
    requires: Vec<Set>,
    /// Required by the test, with all that these require.
    required: Set,
    excluded: Set,
    /// Found and not yet given, with their sizes.
    waiting: BTreeSet<(usize, Set)>,
}

impl Scheduler {
    /// The profiles that have all of the `required` flags and none of the `excluded` ones, each with all that its flags require.
    ///
    /// # Errors
    /// A flag that there is not, or no such profile.
    pub fn profiles(&self, required: &[&str], excluded: &[&str]) -> Result<Profiles, ProfileError> {
        if !self.flags.is_empty() && !self.binary.is_program() {
            return Err(ProfileError::NoProgram { scheduler: self.name.to_owned() });
        }
        self.check_names()?;
        let find = |names: &[&str]| names.iter().map(|name| self.place(name)).collect::<Result<Set, _>>();
        let requires = self.flags.iter().map(|flag| find(flag.requires)).collect::<Result<_, _>>()?;
        let (wanted, excluded_places) = (find(required)?, find(excluded)?);
        let mut profiles = Profiles {
            flags: self.flags,
            requires,
            required: Set::new(),
            excluded: excluded_places,
            waiting: BTreeSet::new(),
        };
        let least = wanted.into_iter().try_fold(Set::new(), |set, flag| profiles.with(&set, flag));
        profiles.required = least.ok_or_else(|| ProfileError::Contradiction {
            scheduler: self.name.to_owned(),
            required: required.join(", "),
            excluded: excluded.join(", "),
        })?;
        profiles.waiting.insert((profiles.required.len(), profiles.required.clone()));
        Ok(profiles)
    }

    fn check_names(&self) -> Result<(), ProfileError> {
        let is_first = |place: usize, flag: &Flag| !self.flags[..place].iter().any(|other| other.name == flag.name);
        let wrong =
            self.flags.iter().enumerate().find(|(place, flag)| !flag.is_well_named() || !is_first(*place, flag));
        let error = |flag: &Flag| ProfileError::Named { scheduler: self.name.to_owned(), flag: flag.name.to_owned() };
        wrong.map_or(Ok(()), |(_, flag)| Err(error(flag)))
    }

    fn place(&self, name: &str) -> Result<usize, ProfileError> {
        let known = || self.flags.iter().map(|flag| flag.name).collect::<Vec<_>>().join(", ");
        self.flags.iter().position(|flag| flag.name == name).ok_or_else(|| ProfileError::Unknown {
            scheduler: self.name.to_owned(),
            flag: name.to_owned(),
            known: if self.flags.is_empty() { "none".to_owned() } else { known() },
        })
    }

    /// Arguments of its program with these flags on: its own, then those of the flags in the order of declaration.
    pub fn arguments(&self, profile: &Profile) -> Vec<String> {
        let on = self.flags.iter().filter(|flag| profile.0.iter().any(|name| name == flag.name));
        let flags = on.flat_map(|flag| flag.args);
        self.sched_args.iter().chain(flags).map(|word| (*word).to_owned()).collect()
    }
}

impl TestSpec {
    /// Arguments of its scheduler's program: those of the scheduler, of the flags that are on, and of the test.
    pub fn arguments(&self) -> Vec<String> {
        let of_scheduler = self.scheduler.arguments(self.profile.as_ref().unwrap_or(&Profile::default()));
        let of_test = self.extra_sched_args.iter().map(|word| (*word).to_owned());
        of_scheduler.into_iter().chain(of_test).collect()
    }

    /// The profiles with which it runs: those that are `picked`, or all. A scheduler without flags has the plain one.
    ///
    /// # Errors
    /// One that is not to be had, or more than [`MAX_PROFILES`] where none are picked.
    pub fn profiles(&self, picked: Option<&[Profile]>) -> Result<Vec<Profile>, ProfileError> {
        let scheduler = self.scheduler.name;
        let mut all = self.scheduler.profiles(self.required_flags, self.excluded_flags)?;
        let Some(picked) = picked else {
            let found: Vec<Profile> = all.by_ref().take(MAX_PROFILES).collect();
            let more = all.next().is_some();
            let too_many = ProfileError::TooMany { scheduler: scheduler.to_owned(), most: MAX_PROFILES };
            return if more { Err(too_many) } else { Ok(found) };
        };
        let mut chosen: Vec<Profile> = Vec::new();
        for profile in picked {
            let valid = all.find_valid(profile).ok_or_else(|| ProfileError::NotValid {
                profile: profile.clone(),
                scheduler: scheduler.to_owned(),
                valid: all.clone().list(),
            })?;
            if !chosen.contains(&valid) {
                chosen.push(valid);
            }
        }
        Ok(chosen)
    }
}

impl Profiles {
    /// The set with one flag more, and all that this one requires; none where some of that is excluded.
    fn with(&self, set: &Set, flag: usize) -> Option<Set> {
        let (mut larger, mut pending) = (set.clone(), vec![flag]);
        while let Some(flag) = pending.pop() {
            if self.excluded.contains(&flag) {
                return None;
            }
            if larger.insert(flag) {
                pending.extend(&self.requires[flag]);
            }
        }
        Some(larger)
    }

    /// The profile of these flags as they are declared, if it is one of all.
    pub(super) fn find_valid(&self, wanted: &Profile) -> Option<Profile> {
        let place = |name: &String| self.flags.iter().position(|flag| flag.name == name);
        let set = wanted.0.iter().map(place).collect::<Option<Set>>()?;
        let closed = set.iter().all(|flag| self.requires[*flag].is_subset(&set));
        let allowed = set.is_superset(&self.required) && set.is_disjoint(&self.excluded);
        (closed && allowed).then(|| self.profile(&set))
    }

    fn profile(&self, set: &Set) -> Profile {
        Profile(set.iter().map(|flag| self.flags[*flag].name.to_owned()).collect())
    }

    /// The first ones, for a person.
    pub(super) fn list(mut self) -> String {
        let first: Vec<String> = self.by_ref().take(MAX_PROFILES).map(|profile| profile.to_string()).collect();
        let more = if self.next().is_some() { ", …" } else { "" };
        first.join(", ") + more
    }
}

impl Iterator for Profiles {
    type Item = Profile;

    fn next(&mut self) -> Option<Profile> {
        let (_, set) = self.waiting.pop_first()?;
        // Whatever is found from here is larger, so that nothing comes twice.
        let others = (0..self.flags.len()).filter(|flag| !set.contains(flag));
        let larger: Vec<Set> = others.filter_map(|flag| self.with(&set, flag)).collect();
        self.waiting.extend(larger.into_iter().map(|set| (set.len(), set)));
        Some(self.profile(&set))
    }
}

#[cfg(test)]
#[path = "profiles_tests.rs"]
mod tests;
