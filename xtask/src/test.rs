//! `test`: the scheduler tests of this workspace.

use crate::sources::{Sources, TestFn};
use anyhow::Result;
use ktstr_cli::binaries::Target;
use ktstr_cli::setup::{self, Group};
use ktstr_cli::test::{Args, Scope};
use std::process::ExitCode;
use xshell::Shell;

/// The package whose integration tests they are.
const PACKAGE: &str = "ktstr";

/// Where the tests are that run unasked: what a scheduler does, seen in half a minute. The rest is for those who choose, and
/// for `ci`.
const UNASKED: [&str; 3] = ["nodes", "steady", "topology"];

/// Runs them.
///
/// # Errors
/// When they could not be run.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let chosen = args.choose_tests();
    if chosen {
        setup::ensure(&[Group::Programs])?;
    }
    let metadata = ktstr_cli::cargo::metadata(&Shell::new()?)?;
    let sources = Sources::of(&metadata, is_ours)?;
    ktstr_cli::test::run(args, &scope(&sources.tests, chosen))
}

fn is_ours(target: &Target) -> bool {
    target.package == PACKAGE && target.kind == "test"
}

/// The tests that run unasked, or all that can be `chosen`. The ignored ones are specimens of what goes wrong, which other
/// tests run, or take long.
fn scope(tests: &[TestFn], chosen: bool) -> Scope {
    let wanted = |test: &&TestFn| {
        is_ours(&test.target) && !test.ignored && (chosen || UNASKED.contains(&test.target.name.as_str()))
    };
    let tests: Vec<&TestFn> = tests.iter().filter(wanted).collect();
    let mut targets: Vec<&str> = tests.iter().map(|test| test.target.name.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    // This program has no such tests. But cargo unites the features of the packages it is asked for, and asked for this one
    // too it finds everything built as it was for this program; without, it would build most of it a second time.
    let packages = ["--package", PACKAGE, "--package", env!("CARGO_PKG_NAME")];
    let mut cargo: Vec<String> = packages.map(str::to_owned).into();
    cargo.extend(targets.into_iter().flat_map(|name| ["--test".to_owned(), name.to_owned()]));
    Scope { cargo, expected: tests.iter().map(|test| test.path.clone()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specimens_are_left_to_their_tests_and_most_to_those_who_choose() {
        let test = |package: &str, name: &str, path: &str, ignored| TestFn {
            target: Target { package: package.into(), kind: "test".into(), name: name.into() },
            path: path.into(),
            ignored,
            varies: false,
        };
        let tests = [
            test("ktstr", "presets", "tiny", false),
            test("ktstr", "steady", "one", false),
            test("ktstr", "steady", "two", false),
            test("ktstr", "faults", "panics", true),
            test("other", "steady", "three", false),
        ];
        let unasked = scope(&tests, false);
        assert_eq!(unasked.cargo.join(" "), "--package ktstr --package xtask --test steady");
        assert_eq!(unasked.expected, ["one", "two"]);
        let chosen = scope(&tests, true);
        assert_eq!(chosen.cargo.join(" "), "--package ktstr --package xtask --test presets --test steady");
        assert_eq!(chosen.expected, ["tiny", "one", "two"]);
    }
}
