//! The scheduler tests of built programs, as these describe themselves.

use crate::binaries::Binary;
use anyhow::{Context, Result, ensure};
use ktstr::{DESCRIBE_ENV, Description};
use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use xshell::Shell;

/// A test and its program.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The program.
    pub(crate) binary: Arc<Binary>,
    /// The test.
    pub(crate) description: Description,
}

/// The variants on presets that the programs have, in order.
///
/// # Errors
/// When a program cannot be asked.
pub(crate) fn variants(shell: &Shell, binaries: Vec<Binary>) -> Result<Vec<Listed>> {
    list(shell, binaries, |names| names.iter().filter(|name| declared_test(name).is_some()).cloned().collect())
}

/// The tests, as declared, that have `part` in their names. A scheduler test is known by being `expected`, by its variants, or by
/// being named whole.
///
/// # Errors
/// When a program cannot be asked.
pub(crate) fn declared(shell: &Shell, binaries: Vec<Binary>, part: &str, expected: &[String]) -> Result<Vec<Listed>> {
    list(shell, binaries, |names| {
        let with_variants: HashSet<&str> = names.iter().filter_map(|name| declared_test(name)).collect();
        let known = |name: &str| {
            with_variants.contains(name) || name == part || expected.iter().any(|expected| expected == name)
        };
        names.iter().filter(|name| name.contains(part) && known(name)).cloned().collect()
    })
}

/// The test that a variant, by its name, is of.
fn declared_test(name: &str) -> Option<&str> {
    let (test, function) = name.rsplit_once("::")?;
    ktstr::preset(function).filter(|preset| preset.function() == function).map(|_| test)
}

fn list(shell: &Shell, binaries: Vec<Binary>, wanted: impl Fn(&[String]) -> Vec<String>) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    for binary in binaries {
        let names = wanted(&binary.tests(shell)?);
        if names.is_empty() {
            continue;
        }
        let binary = Arc::new(binary);
        let described = describe(&binary, &names)?;
        all.extend(described.into_iter().map(|description| Listed { binary: Arc::clone(&binary), description }));
    }
    all.sort_by(|a, b| (&a.description.name, &a.binary.target).cmp(&(&b.description.name, &b.binary.target)));
    Ok(all)
}

/// Has the program describe these of its tests.
fn describe(binary: &Binary, names: &[String]) -> Result<Vec<Description>> {
    let path = &binary.path;
    let file = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let mut command = Command::new(path);
    command.args(["--exact", "--include-ignored", "--test-threads=1"]).args(names).current_dir(&binary.dir);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_are_known_by_their_names() {
        let names = ["a::steady::tiny_1llc", "steady::tiny-1llc", "tiny_1llc", "steady", "steady::tiny_9llc"];
        assert_eq!(names.map(declared_test), [Some("a::steady"), None, None, None, None]);
    }
}
