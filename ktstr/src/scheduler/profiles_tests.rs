//! All valid sets of flags are found, and no others.

use super::*;
use crate::SchedulerSpec;
use ktstr_wire::Topology;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

const fn flag(name: &'static str, args: &'static [&'static str], requires: &'static [&'static str]) -> Flag {
    Flag { name, args, requires }
}

const fn scheduler(flags: &'static [Flag]) -> Scheduler {
    Scheduler::new("s").binary(SchedulerSpec::Name("scx_s")).sched_args(&["--own"]).flags(flags)
}

/// `steal` needs `llc`, and `slice` nothing.
const THREE: Scheduler = scheduler(&[
    flag("llc", &["--llc"], &[]),
    flag("steal", &["--steal", "2"], &["llc"]),
    flag("slice", &["--slice=5"], &[]),
]);

fn list(profiles: impl IntoIterator<Item = Profile>) -> String {
    profiles.into_iter().map(|profile| profile.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_smallest_come_first() {
    let check = |required: &[&str], excluded: &[&str], expected: &str| {
        assert_eq!(list(THREE.profiles(required, excluded).unwrap()), expected);
    };
    check(&[], &[], "plain llc slice llc+steal llc+slice llc+steal+slice");
    check(&["steal"], &[], "llc+steal llc+steal+slice");
    check(&[], &["llc"], "plain slice");
    check(&["slice", "llc"], &["steal"], "llc+slice");
}

#[test]
fn a_scheduler_without_flags_has_one_profile() {
    assert_eq!(list(Scheduler::EEVDF.profiles(&[], &[]).unwrap()), "plain");
    assert_eq!(list(scheduler(&[]).profiles(&[], &[]).unwrap()), "plain");
}

#[test]
fn what_cannot_be_had_is_told() {
    let check = |scheduler: Scheduler, required: &[&str], excluded: &[&str], expected: &str| {
        assert_eq!(scheduler.profiles(required, excluded).unwrap_err().to_string(), expected);
    };
    check(THREE, &["lcl"], &[], "the scheduler s has no flag \"lcl\"; it has llc, steal, slice");
    check(Scheduler::EEVDF, &[], &["llc"], "the scheduler eevdf has no flag \"llc\"; it has none");
    check(THREE, &["steal"], &["llc"], "no set of the flags of s has all of steal and none of llc");
    const ASTRAY: &[Flag] = &[flag("a", &["-a"], &["x"])];
    check(scheduler(ASTRAY), &[], &[], "the scheduler s has no flag \"x\"; it has a");
    let builtin = THREE.binary(SchedulerSpec::KernelBuiltin { enable: &[], disable: &[] });
    check(builtin, &[], &[], "the scheduler s has flags and is no program that could be given their arguments");
}

#[test]
fn names_are_never_ambiguous() {
    const TWICE: &[Flag] = &[flag("llc", &["-a"], &[]), flag("llc", &["-b"], &[])];
    let named = |name: &'static str| scheduler(vec![flag(name, &["-a"], &[])].leak());
    for (scheduler, name) in
        [(scheduler(TWICE), "llc"), (named("plain"), "plain"), (named("a+b"), "a+b"), (named("../a"), "../a")]
    {
        let error = scheduler.profiles(&[], &[]).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the scheduler s has a flag {name:?}: names are of lower-case letters")),
            "{error}"
        );
    }
}

fn test(scheduler: Scheduler) -> TestSpec {
    TestSpec { scheduler, extra_sched_args: &["--last"], ..TestSpec::new("a::b", Topology::new(1, 1, 1)) }
}

#[test]
fn arguments_follow_each_other_from_the_scheduler_to_the_test() {
    let check = |profile: &str, expected: &str| {
        assert_eq!(test(THREE).with(profile.parse().ok()).arguments().join(" "), expected);
    };
    check("plain", "--own --last");
    check("llc+steal", "--own --llc --steal 2 --last");
    check("slice+llc", "--own --llc --slice=5 --last");
}

#[test]
fn a_picked_profile_is_one_of_the_test() {
    let pick = |required: &'static [&'static str], picked: &[&str]| {
        let picked: Vec<Profile> = picked.iter().map(|profile| profile.parse().unwrap()).collect();
        TestSpec { required_flags: required, ..test(THREE) }.profiles(Some(&picked))
    };
    assert_eq!(list(pick(&[], &["steal+llc", "plain", "llc+steal"]).unwrap()), "llc+steal plain");
    let check = |required, picked: &str, expected: &str| {
        let error = pick(required, &["llc+steal", picked]).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{picked} is no profile of the scheduler s in this test; its profiles are {expected}")
        );
    };
    check(&[], "steal", "plain, llc, slice, llc+steal, llc+slice, llc+steal+slice");
    check(&["llc"], "slice", "llc, llc+steal, llc+slice, llc+steal+slice");
    check(&["steal"], "nothing", "llc+steal, llc+steal+slice");
    let error = test(Scheduler::EEVDF).profiles(Some(&["llc".parse().unwrap()])).unwrap_err().to_string();
    assert_eq!(error, "llc is no profile of the scheduler eevdf in this test; its profiles are plain");
}

/// 26 flags of which any are on: more sets than could ever be gone through.
const MANY: Scheduler = {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
    const FLAGS: [Flag; 26] = {
        let mut flags = [flag("", &["-x"], &[]); 26];
        let mut place = 0;
        while place < 26 {
            flags[place].name = LETTERS.split_at(place).1.split_at(1).0;
            place += 1;
        }
        flags
    };
    scheduler(&FLAGS)
};

#[test]
fn too_many_are_refused_and_can_be_picked_from() {
    let error = test(MANY).profiles(None).unwrap_err().to_string();
    let expected = "the flags of s have more than 64 profiles in this test: require or exclude some of them in the test, \
                    or choose profiles by KTSTR_PROFILE";
    assert_eq!(error, expected);
    let picked = ["z+a".parse().unwrap(), "plain".parse().unwrap()];
    assert_eq!(list(test(MANY).profiles(Some(&picked)).unwrap()), "a+z plain");
    let error = test(MANY).profiles(Some(&["a+A".parse().unwrap()])).unwrap_err().to_string();
    assert!(error.contains("its profiles are plain, a, b, c, ") && error.ends_with(", b+n, …"), "{error}");
    // All but six are off: 64.
    let excluded: Vec<&str> = MANY.flags[6..].iter().map(|flag| flag.name).collect();
    assert_eq!(MANY.profiles(&[], &excluded).unwrap().count(), MAX_PROFILES);
}

/// What each of some flags requires, cycles and itself included.
fn requires() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (0..=NAMES.len()).prop_flat_map(|count| prop::collection::vec(prop::collection::vec(0..count.max(1), 0..3), count))
}

/// Flags live as long as the program, as declared ones do.
fn leaked(requires: &[Vec<usize>]) -> Scheduler {
    let named = |places: &Vec<usize>| -> &'static [&'static str] {
        places.iter().map(|place| NAMES[*place]).collect::<Vec<_>>().leak()
    };
    let flags = requires.iter().zip(NAMES).map(|(requires, name)| flag(name, &["-x"], named(requires)));
    scheduler(flags.collect::<Vec<_>>().leak())
}

/// All sets that are valid by the definition, in the order of sizes and then of declaration.
fn brute_force(requires: &[Vec<usize>], required: usize, excluded: usize) -> Vec<String> {
    let has = |set: usize, flag: usize| set & (1 << flag) != 0;
    let valid = |set: &usize| {
        let closed = requires
            .iter()
            .enumerate()
            .all(|(flag, needs)| !has(*set, flag) || needs.iter().all(|one| has(*set, *one)));
        closed && set & required == required && set & excluded == 0
    };
    let members = |set: usize| (0..requires.len()).filter(|flag| has(set, *flag)).collect::<Vec<_>>();
    let sorted: BTreeMap<(usize, Vec<usize>), String> = (0..1_usize << requires.len())
        .filter(valid)
        .map(|set| {
            let names = members(set).into_iter().map(|flag| NAMES[flag].to_owned()).collect();
            ((members(set).len(), members(set)), Profile(names).to_string())
        })
        .collect();
    sorted.into_values().collect()
}

proptest! {
    #[test]
    fn all_closed_sets_are_found_once_and_in_order(requires in requires(), required: usize, excluded: usize) {
        // Few of each, or nearly nothing would be left.
        let mask = (1 << requires.len()) - 1;
        let (required, excluded) = (required & (required >> 8) & mask, excluded & (excluded >> 8) & mask);
        let names = |set: usize| (0..requires.len()).filter(|flag| set & (1 << flag) != 0).map(|flag| NAMES[flag]).collect::<Vec<_>>();
        let expected = brute_force(&requires, required, excluded);
        let scheduler = leaked(&requires);
        match scheduler.profiles(&names(required), &names(excluded)) {
            Ok(profiles) => {
                let found: Vec<Profile> = profiles.clone().collect();
                let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
                prop_assert_eq!(&texts, &expected);
                for profile in &found {
                    prop_assert_eq!(profiles.find_valid(profile), Some(profile.clone()));
                }
            }
            Err(error) => {
                prop_assert!(matches!(error, ProfileError::Contradiction { .. }), "{}", error);
                prop_assert!(expected.is_empty());
            }
        }
    }

    #[test]
    fn only_closed_sets_can_be_picked(requires in requires(), set: usize) {
        let names = (0..requires.len()).filter(|flag| set & (1 << flag) != 0).map(|flag| NAMES[flag].to_owned());
        let profile = Profile(names.collect());
        let is_valid = brute_force(&requires, 0, 0).contains(&profile.to_string());
        let found = leaked(&requires).profiles(&[], &[]).unwrap().find_valid(&profile);
        prop_assert_eq!(found, is_valid.then_some(profile));
    }
}
