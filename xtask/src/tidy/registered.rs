//! Whether each scheduler test in the source is one that a test runner would find.

use crate::sources::TestFn;
use anyhow::{Context, Result};
use ktstr_cli::binaries::Binary;
use xshell::Shell;

/// Complaints about tests that the built programs do not list.
///
/// # Errors
/// When a program cannot be asked.
pub(super) fn complaints(shell: &Shell, tests: &[TestFn], binaries: &[Binary]) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for binary in binaries {
        let here: Vec<&TestFn> = tests.iter().filter(|test| test.target == binary.target).collect();
        if !here.is_empty() {
            let listed =
                binary.tests(shell).with_context(|| format!("cannot list the tests of {:?}", binary.target))?;
            complaints.extend(here.iter().copied().filter(|test| !listed.contains(&test.path)).map(unregistered));
            let varies = |test: &TestFn| listed.iter().any(|name| is_variant(name, &test.path));
            complaints.extend(here.into_iter().filter(|test| test.varies && !varies(test)).map(invariable));
        }
    }
    let built = |test: &&TestFn| binaries.iter().any(|binary| binary.target == test.target);
    complaints.extend(tests.iter().filter(|test| !built(test)).map(unregistered));
    Ok(complaints)
}

fn unregistered(test: &TestFn) -> String {
    let target = &test.target;
    format!(
        "{} {}: the scheduler test {} is in the source, but no test runner finds it",
        target.package, target.name, test.path
    )
}

fn is_variant(name: &str, test: &str) -> bool {
    name.rsplit_once("::").is_some_and(|(before, preset)| before == test && ktstr::preset(preset).is_some())
}

fn invariable(test: &TestFn) -> String {
    let target = &test.target;
    format!("{} {}: no test runner finds a variant of {} on a preset", target.package, target.name, test.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_cli::binaries::Target;

    #[test]
    fn a_test_that_is_not_listed_is_named() {
        let target = |name: &str| Target { package: "xtask".into(), kind: "bin".into(), name: name.into() };
        let test =
            |name: &str, path: &str| TestFn { target: target(name), path: path.into(), ignored: false, varies: false };
        let this = "tidy::registered::tests::a_test_that_is_not_listed_is_named";
        let own = Binary { target: target("xtask"), path: std::env::current_exe().unwrap(), dir: ".".into() };
        let varies = TestFn { varies: true, ..test("xtask", this) };
        let tests = [test("xtask", this), test("xtask", "gone"), test("absent", "also_gone"), varies];
        let complaints = complaints(&Shell::new().unwrap(), &tests, &[own]).unwrap();
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints[0].contains("test gone") && complaints[2].contains("test also_gone"), "{complaints:?}");
        assert!(complaints[1].contains(&format!("finds a variant of {this}")), "{complaints:?}");
        assert!(is_variant("a::b::odd_3llc", "a::b") && !is_variant("a::b::c", "a::b"));
    }
}
