//! The scheduler tests of built programs, as these describe themselves.

use crate::binaries::Binary;
use anyhow::{Context, Result, ensure};
use ktstr::{DESCRIBE_ENV, DeclaredScheduler, Description, Profile};
use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use xshell::Shell;

/// A test with one profile of its scheduler, if that has flags, and its program.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The program.
    pub(crate) binary: Arc<Binary>,
    /// The test.
    pub(crate) description: Description,
}

/// The variants on presets that the programs have, in order, with those of the profiles that are `picked`, or all.
///
/// # Errors
/// When a program cannot be asked.
pub(crate) fn variants(shell: &Shell, binaries: Vec<Binary>, picked: &[Profile]) -> Result<Vec<Listed>> {
    list(shell, binaries, picked, |names| names.iter().filter(|name| declared_test(name).is_some()).cloned().collect())
}

/// The tests, as declared, that have `part` in their names. A scheduler test is known by being `expected`, by its variants, or by
/// being named whole.
///
/// # Errors
/// When a program cannot be asked.
pub(crate) fn declared(
    shell: &Shell,
    binaries: Vec<Binary>,
    picked: &[Profile],
    part: &str,
    expected: &[String],
) -> Result<Vec<Listed>> {
    list(shell, binaries, picked, |names| {
        let with_variants: HashSet<&str> = names.iter().filter_map(|name| declared_test(name)).collect();
        let known = |name: &str| {
            with_variants.contains(name) || name == part || expected.iter().any(|expected| expected == name)
        };
        names.iter().filter(|name| name.contains(part) && known(name)).cloned().collect()
    })
}

/// The schedulers of the programs' tests, with those of the profiles that are `picked` that they have. A test that has no variants
/// cannot be told from one that would run when it is asked, and is not.
///
/// # Errors
/// When a program cannot be asked.
pub(crate) fn schedulers(shell: &Shell, binaries: &[Binary], picked: &[Profile]) -> Result<Vec<DeclaredScheduler>> {
    let mut all = Vec::new();
    for binary in binaries.iter().filter(|binary| may_have_them(binary)) {
        let mut names = binary.tests(shell)?;
        names.retain(|name| declared_test(name).is_some());
        // One variant of each test tells.
        names.dedup_by(|one, other| declared_test(one) == declared_test(other));
        if !names.is_empty() {
            all.extend(describe(binary, &names, picked)?.into_iter().flat_map(|test| test.schedulers));
        }
    }
    Ok(all)
}

/// The test that a variant, by its name, is of.
fn declared_test(name: &str) -> Option<&str> {
    let (test, function) = name.rsplit_once("::")?;
    ktstr::preset(function).filter(|preset| preset.function() == function).map(|_| test)
}

/// Whether a program can have scheduler tests. Those of macro crates have none, and run only where the loader is told of the
/// compiler's libraries.
fn may_have_them(binary: &Binary) -> bool {
    binary.target.kind != "proc-macro"
}

fn list(
    shell: &Shell,
    binaries: Vec<Binary>,
    picked: &[Profile],
    wanted: impl Fn(&[String]) -> Vec<String>,
) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    for binary in binaries.into_iter().filter(may_have_them) {
        let names = wanted(&binary.tests(shell)?);
        if names.is_empty() {
            continue;
        }
        let binary = Arc::new(binary);
        let described = describe(&binary, &names, picked)?;
        let each = described.into_iter().flat_map(by_profile);
        all.extend(each.map(|description| Listed { binary: Arc::clone(&binary), description }));
    }
    // Profiles stay in their own order.
    all.sort_by(|a, b| (&a.description.name, &a.binary.target).cmp(&(&b.description.name, &b.binary.target)));
    Ok(all)
}

/// The test with each of its profiles; what is on in one is among its features.
fn by_profile(test: Description) -> impl Iterator<Item = Description> {
    test.profiles.clone().into_iter().map(move |profile| {
        let on = profile.iter().flat_map(|profile| &profile.0).map(|flag| format!("flag {flag}"));
        let plain = profile.iter().filter(|profile| profile.0.is_empty()).map(|_| "no flags".to_owned());
        let features = test.features.iter().cloned().chain(on).chain(plain).collect();
        Description { profiles: vec![profile], features, ..test.clone() }
    })
}

/// Has the program describe these of its tests.
fn describe(binary: &Binary, names: &[String], picked: &[Profile]) -> Result<Vec<Description>> {
    let path = &binary.path;
    let file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let mut command = Command::new(path);
    command.args(["--exact", "--include-ignored", "--test-threads=1"]).args(names).current_dir(&binary.dir);
    if !picked.is_empty() {
        command.env("KTSTR_PROFILE", join(picked));
    }
    let output =
        command.env(DESCRIBE_ENV, file.path()).output().with_context(|| format!("cannot run {}", path.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{} does not describe its tests: {}\n{said}", path.display(), output.status);
    let text = fs::read_to_string(file.path()).context("cannot read what tests say of themselves")?;
    let parsed = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    parsed.with_context(|| {
        format!("cannot understand how {} describes its tests: is its ktstr of another version?", path.display())
    })
}

/// As `KTSTR_PROFILE` has them.
pub(crate) fn join(profiles: &[Profile]) -> String {
    profiles.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::super::features::tests::description;
    use super::*;

    #[test]
    fn each_profile_is_a_run_of_its_own() {
        let of = |profiles| Description { profiles, ..description("a", &ktstr::PRESETS[0]) };
        let check = |profiles: Vec<Option<Profile>>, expected: &[(&str, &[&str])]| {
            let found: Vec<Description> = by_profile(of(profiles)).collect();
            let found: Vec<(String, Vec<String>)> =
                found.into_iter().map(|one| (one.variant(), one.features[1..].to_vec())).collect();
            let expected = expected.iter().map(|(name, features)| {
                (format!("a::tiny_1llc{name}"), features.iter().map(|feature| (*feature).to_owned()).collect())
            });
            assert_eq!(found, expected.collect::<Vec<(String, Vec<String>)>>());
        };
        let profile = |flags: &[&str]| Some(Profile(flags.iter().map(|flag| (*flag).to_owned()).collect()));
        check(vec![None], &[("", &[])]);
        check(vec![], &[]);
        check(
            vec![profile(&[]), profile(&["llc", "steal"])],
            &[(", profile plain", &["no flags"]), (", profile llc+steal", &["flag llc", "flag steal"])],
        );
    }

    #[test]
    fn variants_are_known_by_their_names() {
        let names = ["a::steady::tiny_1llc", "steady::tiny-1llc", "tiny_1llc", "steady", "steady::tiny_9llc"];
        assert_eq!(names.map(declared_test), [Some("a::steady"), None, None, None, None]);
    }
}
