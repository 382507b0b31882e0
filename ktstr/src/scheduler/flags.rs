//! Flags of a scheduler, and the sets of them that make sense.

use serde::{Deserialize, Serialize};
use std::fmt;

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

/// A set of flags that are on together, by their names in the order of declaration.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile(pub Vec<String>);

/// Why a choice of flags cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
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
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("plain") } else { f.write_str(&self.0.join("+")) }
    }
}
