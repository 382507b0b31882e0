//! Sets of CPUs, in the two forms in which the kernel writes them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most CPUs that a kernel can be configured for (arch/x86/Kconfig, `NR_CPUS_RANGE_END`).
const MAX_CPUS: u32 = 8192;

/// A set of CPU numbers. As text it is the kernel's list, such as `0-3,8` (lib/bitmap-str.c, `bitmap_parselist`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuSet {
    /// First and last of each range, in ascending order and with a gap between any two. A set is never much larger than
    /// the text that it was read from.
    ranges: Vec<(u32, u32)>,
}

/// A text that names no set of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no set of CPUs")]
pub struct CpuSetError {
    text: String,
}

impl CpuSet {
    /// Reads the kernel's mask: hexadecimal words of 32 bits, the highest first, such as `f,ffffffff`.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_mask(text: &str) -> Result<Self, CpuSetError> {
        Self::parse_mask(text).ok_or_else(|| CpuSetError { text: text.to_owned() })
    }

    fn parse_mask(text: &str) -> Option<Self> {
        let mut cpus = Self::default();
        for (at, word) in text.rsplit(',').enumerate() {
            let first = u32::try_from(at * 32).ok().filter(|first| *first < MAX_CPUS)?;
            let bits = u32::from_str_radix(word, 16).ok()?;
            (0..32).filter(|bit| bits & 1 << bit != 0).for_each(|bit| cpus.insert(first + bit));
        }
        Some(cpus)
    }

    fn parse_list(text: &str) -> Option<Self> {
        let mut cpus = Self::default();
        for range in text.split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
            if first > last || last >= MAX_CPUS {
                return None;
            }
            cpus.insert_range(first, last);
        }
        Some(cpus)
    }

    /// The CPUs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether `cpu` is one of them.
    pub fn contains(&self, cpu: u32) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&cpu))
    }

    /// Whether all of them are in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter().all(|cpu| other.contains(cpu))
    }

    /// Adds a CPU.
    pub fn insert(&mut self, cpu: u32) {
        self.insert_range(cpu, cpu);
    }

    /// Adds a range, which swallows those that it touches.
    fn insert_range(&mut self, first: u32, last: u32) {
        let start = self.ranges.partition_point(|(_, other)| other.saturating_add(1) < first);
        let end = self.ranges.partition_point(|(other, _)| *other <= last.saturating_add(1));
        let touched = &self.ranges[start..end];
        let first = touched.first().map_or(first, |range| range.0.min(first));
        let last = touched.last().map_or(last, |range| range.1.max(last));
        self.ranges.splice(start..end, [(first, last)]);
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        let mut set = Self::default();
        cpus.into_iter().for_each(|cpu| set.insert(cpu));
        set
    }
}

impl FromStr for CpuSet {
    type Err = CpuSetError;

    fn from_str(text: &str) -> Result<Self, CpuSetError> {
        Self::parse_list(text.trim_end()).ok_or_else(|| CpuSetError { text: text.to_owned() })
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuSetError;

    fn try_from(text: String) -> Result<Self, CpuSetError> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(cpus: CpuSet) -> Self {
        cpus.to_string()
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (first, last) in &self.ranges {
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<&[u32]>) {
        let expected = expected.map(|cpus| cpus.iter().copied().collect());
        assert_eq!(text.parse::<CpuSet>().ok(), expected, "{text}");
    }

    #[test]
    fn reads_lists() {
        check("", Some(&[]));
        check("0-2,5,7-8\n", Some(&[0, 1, 2, 5, 7, 8]));
        check("5-6,0-2,3,1", Some(&[0, 1, 2, 3, 5, 6]));
        check("8191", Some(&[8191]));
        check("8192", None);
        check("0-4294967295", None);
        check("3-1", None);
        check("x", None);
    }

    #[test]
    fn reads_masks() {
        assert_eq!(CpuSet::from_mask("1,0000000c").unwrap().to_string(), "2-3,32");
        assert_eq!(CpuSet::from_mask("00ff").unwrap().to_string(), "0-7");
        assert!(CpuSet::from_mask("SMT").is_err());
        assert!(CpuSet::from_mask("").is_err());
        assert!(CpuSet::from_mask(&["0"; 257].join(",")).is_err());
    }

    proptest! {
        #[test]
        fn lists_survive_the_way(cpus in prop::collection::btree_set(0..MAX_CPUS, 0..60)) {
            let set: CpuSet = cpus.iter().rev().copied().collect();
            prop_assert_eq!(set.to_string().parse::<CpuSet>().unwrap(), set.clone());
            prop_assert_eq!(set.len(), cpus.len());
            prop_assert!((0..MAX_CPUS).all(|cpu| set.contains(cpu) == cpus.contains(&cpu)));
            prop_assert!(set.iter().eq(cpus));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<CpuSet>();
            let _ = CpuSet::from_mask(&text);
        }
    }
}
