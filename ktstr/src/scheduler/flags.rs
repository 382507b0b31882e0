//! Flags of a scheduler, and sets of them that are on together.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Something that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name, in lower case with hyphens.
    pub name: &'static str,
    /// The arguments that switch it on.
    pub args: &'static [&'static str],
    /// Flags without which it is not to be had.
    pub requires: &'static [&'static str],
}

impl Flag {
    /// Whether its name can be part of a profile's, and that of the names of files.
    pub(super) fn is_well_named(&self) -> bool {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !self.name.is_empty() && self.name.chars().all(plain) && self.name != PLAIN
    }
}

/// Whether flags of all these names are declared. It is known when a test is compiled, where there are neither iterators nor
/// comparisons of text.
pub(crate) const fn declare(flags: &[Flag], names: &[&str]) -> bool {
    let mut name = 0;
    while name < names.len() {
        let mut flag = 0;
        while flag < flags.len() && !is_same(flags[flag].name, names[name]) {
            flag += 1;
        }
        if flag == flags.len() {
            return false;
        }
        name += 1;
    }
    true
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

/// A set of flags that are on together, by their names in the order of declaration.
///
/// As text it is the names with `+` between them, such as `llc+steal`; without flags it is `plain`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(pub Vec<String>);

/// The text of the profile without flags.
const PLAIN: &str = "plain";

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str(PLAIN) } else { f.write_str(&self.0.join("+")) }
    }
}

/// Flags in any order; whether a scheduler has them is not known here.
impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let text = text.trim();
        if text == PLAIN {
            return Ok(Self::default());
        }
        let names: Vec<String> = text.split('+').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(ProfileError::Unreadable { text: text.to_owned() });
        }
        Ok(Self(names))
    }
}

/// Why a choice of flags cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Text that names no flags.
    #[error("{text:?} is no profile: write \"{PLAIN}\", or names of flags with \"+\" between them")]
    Unreadable {
        /// The text.
        text: String,
    },
    /// A flag whose name would be ambiguous in a profile's.
    #[error(
        "the scheduler {scheduler} has a flag {flag:?}: names are of lower-case letters, digits and hyphens, none is \
         \"{PLAIN}\", and no two are the same"
    )]
    Named {
        /// The scheduler.
        scheduler: String,
        /// The flag.
        flag: String,
    },
    /// No such flag.
    #[error("the scheduler {scheduler} has no flag {flag:?}; it has {known}")]
    Unknown {
        /// The scheduler.
        scheduler: String,
        /// What was asked for.
        flag: String,
        /// What there is.
        known: String,
    },
    /// What one flag needs is excluded.
    #[error("no set of the flags of {scheduler} has all of {required} and none of {excluded}")]
    Contradiction {
        /// The scheduler.
        scheduler: String,
        /// Required flags.
        required: String,
        /// Excluded flags.
        excluded: String,
    },
    /// Flags are arguments, and nothing takes them.
    #[error("the scheduler {scheduler} has flags and is no program that could be given their arguments")]
    NoProgram {
        /// The scheduler.
        scheduler: String,
    },
    /// A set of flags that the test does not allow, or that lacks what one of them requires.
    #[error("{profile} is no profile of the scheduler {scheduler} in this test; its profiles are {valid}")]
    NotValid {
        /// What was asked for.
        profile: Profile,
        /// The scheduler.
        scheduler: String,
        /// What can be asked for.
        valid: String,
    },
    /// More sets than a test should run with.
    #[error(
        "the flags of {scheduler} have more than {most} profiles in this test: require or exclude some of them in \
         the test, or choose profiles by KTSTR_PROFILE"
    )]
    TooMany {
        /// The scheduler.
        scheduler: String,
        /// How many there may be.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, flags: &[&str], shown: &str) {
        let profile: Profile = text.parse().unwrap();
        assert_eq!(profile.0, flags);
        assert_eq!(profile.to_string(), shown);
    }

    #[test]
    fn profiles_are_read_as_they_are_written() {
        check("plain", &[], "plain");
        check(" llc ", &["llc"], "llc");
        check("llc+ steal", &["llc", "steal"], "llc+steal");
    }

    #[test]
    fn flags_are_known_when_a_test_is_compiled() {
        const FLAGS: &[Flag] =
            &[Flag { name: "llc", args: &[], requires: &[] }, Flag { name: "llc-steal", args: &[], requires: &[] }];
        const KNOWN: bool = declare(FLAGS, &["llc-steal", "llc"]);
        assert_eq!([KNOWN, declare(FLAGS, &[]), declare(&[], &[])], [true; 3]);
        assert_eq!(["ll", "llc-", "", "LLC"].map(|name| declare(FLAGS, &["llc", name])), [false; 4]);
    }

    #[test]
    fn text_without_names_is_no_profile() {
        for text in ["", "+", "llc+", "llc++steal"] {
            let error = text.parse::<Profile>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is no profile: write \"plain\"")), "{error}");
        }
    }
}
