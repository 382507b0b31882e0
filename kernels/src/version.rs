//! Kernel versions, and the order of Debian package versions.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A kernel version as a person writes it: `7.2` (any patch level) or `6.16.12` (exactly that one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; `None` stands for any.
    pub patch: Option<u32>,
}

impl Version {
    /// Whether `other` is this version, or one of its patch levels when this one names none.
    pub fn covers(&self, other: &Version) -> bool {
        (self.major, self.minor) == (other.major, other.minor) && (self.patch.is_none() || self.patch == other.patch)
    }

    /// The version that text such as a kernel release or a package version starts with: `7.3.4-1~bpo13+1` is 7.3.4.
    pub fn leading(text: &str) -> Option<Version> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        text[..end].trim_end_matches('.').parse().ok()
    }

    /// How far apart two versions are, for the choice of near matches.
    pub(crate) fn distance(&self, other: &Version) -> (u32, u32, u32) {
        let between = |(a, b): (u32, u32)| a.abs_diff(b);
        let patch = self.patch.zip(other.patch).map_or(0, between);
        (self.major.abs_diff(other.major), self.minor.abs_diff(other.minor), patch)
    }
}

/// Text that is not `X.Y` or `X.Y.Z`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kernel version: write X.Y or X.Y.Z, such as 7.2 or 6.16.12")]
pub struct BadVersion(pub String);

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let bad = || BadVersion(text.to_owned());
        let number = |part: &str| match part.bytes().all(|byte| byte.is_ascii_digit()) {
            true => part.parse::<u32>().map_err(|_| bad()),
            false => Err(bad()),
        };
        match text.split('.').collect::<Vec<_>>()[..] {
            [major, minor] => Ok(Version { major: number(major)?, minor: number(minor)?, patch: None }),
            [major, minor, patch] => {
                Ok(Version { major: number(major)?, minor: number(minor)?, patch: Some(number(patch)?) })
            }
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// The order of two Debian package versions. Source: deb-version(7), "Sorting algorithm".
pub(crate) fn compare_debian(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = split_epoch(a);
    let (epoch_b, rest_b) = split_epoch(b);
    let (upstream_a, revision_a) = rest_a.rsplit_once('-').unwrap_or((rest_a, ""));
    let (upstream_b, revision_b) = rest_b.rsplit_once('-').unwrap_or((rest_b, ""));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.as_bytes(), revision_b.as_bytes()))
}

fn split_epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

/// Compares alternately a run of non-digits, where `~` sorts before the end and letters before the rest, and a number.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = split_run(a, |byte| !byte.is_ascii_digit());
        let (text_b, rest_b) = split_run(b, |byte| !byte.is_ascii_digit());
        let (number_a, after_a) = split_run(rest_a, u8::is_ascii_digit);
        let (number_b, after_b) = split_run(rest_b, u8::is_ascii_digit);
        match compare_text(text_a, text_b).then_with(|| compare_number(number_a, number_b)) {
            Ordering::Equal => (a, b) = (after_a, after_b),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

fn split_run(bytes: &[u8], belongs: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    bytes.split_at(bytes.iter().position(|byte| !belongs(byte)).unwrap_or(bytes.len()))
}

fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|at| weight(a.get(at)).cmp(&weight(b.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_number(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = split_run(a, |byte| *byte == b'0');
    let (_, b) = split_run(b, |byte| *byte == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_two_and_three_numbers() {
        assert_eq!("7.2".parse::<Version>().unwrap(), Version { major: 7, minor: 2, patch: None });
        assert_eq!("6.16.12".parse::<Version>().unwrap().to_string(), "6.16.12");
        for bad in ["", "7", "7.", "7.x", "7.2.3.4", "+7.2", "7.2-rc1", "99999999999.1"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn reads_the_version_a_release_starts_with() {
        assert_eq!(Version::leading("7.3.4-1~bpo13+1").unwrap().to_string(), "7.3.4");
        assert_eq!(Version::leading("6.12.0-rc3").unwrap().to_string(), "6.12.0");
        assert_eq!(Version::leading("next-2026"), None);
    }

    #[test]
    fn a_version_without_patch_covers_all_patch_levels() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("7.2").covers(&version("7.2.13")));
        assert!(!version("7.2.1").covers(&version("7.2.13")));
        assert!(!version("7.2").covers(&version("7.20.1")));
    }

    #[test]
    fn orders_package_versions_as_dpkg_does() {
        let ascending = [
            "6.12.9-1",
            "6.12.95-1~bpo12+1",
            "6.12.95-1",
            "7.2~rc3-1",
            "7.2-1",
            "7.2.11-1~bpo13+1",
            "7.2.012-1",
            "7.2.13-1",
            "7.2.13-1+b1",
            "1:1.0-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare_debian(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare_debian(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare_debian("7.2.012-1", "7.2.12-1"), Ordering::Equal);
    }
}
