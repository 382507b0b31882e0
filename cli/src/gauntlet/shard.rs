//! Parts of a gauntlet, for hosts side by side.

use ktstr::{Description, PRESETS};
use std::fmt;
use std::str::FromStr;

/// One part of several, which together have everything once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    number: u64,
    count: u64,
}

impl Shard {
    /// Whether a variant is in this part. A test's variants go round the parts, so that each gets machines of all sizes; where a
    /// test begins depends on its name and its profile alone, so that another test, or another time, moves none.
    pub(crate) fn has(self, variant: &Description) -> bool {
        let place = |preset: &String| PRESETS.iter().position(|known| known.name == preset);
        let preset = variant.preset.as_ref().and_then(place).unwrap_or(0) as u64;
        let profile = variant.profile().map_or(0, |profile| fnv(&profile.to_string()));
        (fnv(&variant.test) % self.count + profile % self.count + preset) % self.count == self.number - 1
    }
}

/// FNV-1a (draft-eastlake-fnv): the same on every host and with every compiler.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((number, count)) if number >= 1 && number <= count => Ok(Self { number, count }),
            _ => Err("write NUMBER/COUNT, such as 2/8 for the second of eight".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::description;
    use super::*;
    use ktstr::Profile;
    use proptest::prelude::*;

    #[test]
    fn parts_are_written_as_numbers() {
        assert_eq!("2/8".parse::<Shard>().map(|shard| shard.to_string()), Ok("2/8".to_owned()));
        for text in ["", "2", "0/8", "9/8", "a/b", "-1/2", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn where_a_variant_is_never_changes() {
        let places = ["steady", "a::b"].map(|test| {
            let shard = |number| Shard { number, count: 8 };
            (1..=8).find(|number| shard(*number).has(&description(test, &PRESETS[0])))
        });
        assert_eq!(places, [Some(4), Some(7)]);
    }

    proptest! {
        #[test]
        fn parts_are_disjoint_and_complete(
            tests in prop::collection::vec(("[a-z_:]{1,20}", prop::option::of("[a-z]{1,5}")), 1..10),
            count in 1_u64..40,
        ) {
            let mut sizes = vec![0; count as usize];
            for (test, preset) in tests.iter().flat_map(|test| PRESETS.iter().map(move |preset| (test, preset))) {
                let (test, profile) = test;
                let profile = profile.as_ref().map(|flag| Profile(vec![flag.clone()]));
                let variant = Description { profiles: vec![profile], ..description(test, preset) };
                let homes: Vec<u64> = (1..=count).filter(|number| Shard { number: *number, count }.has(&variant)).collect();
                prop_assert_eq!(homes.len(), 1);
                sizes[homes[0] as usize - 1] += 1;
            }
            let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
            prop_assert!(most - least <= tests.len(), "{:?}", sizes);
        }
    }
}
