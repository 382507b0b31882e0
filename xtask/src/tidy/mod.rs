//! `tidy`: rules of this repository that no compiler knows.

mod data;
mod paths;
mod registered;
mod rust;
mod text;

use crate::sources::Sources;
use anyhow::{Context, Result};
use ktstr_cli::binaries::{self, Binary};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// Check what no compiler checks: files without a module doc or out of reach, paths in ARCHITECTURE.md that do not
/// exist, scheduler tests that are not registered …
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs all checks and prints every complaint.
///
/// # Errors
/// When a check could not be made.
pub(crate) fn run(_args: &Args) -> Result<ExitCode> {
    let shell = Shell::new()?;
    let clean = check(&shell, &binaries::build(&shell, &["--workspace".to_owned()])?)?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same with the test programs at hand; whether there was no complaint.
///
/// # Errors
/// When a check could not be made.
pub(crate) fn check(shell: &Shell, binaries: &[Binary]) -> Result<bool> {
    let tree = Tree::read(shell)?;
    let mut complaints = tree.complaints();
    complaints.extend(registered::complaints(shell, &tree.sources.tests, binaries)?);
    complaints.iter().for_each(|complaint| println!("{complaint}"));
    let (files, tests) = (tree.files.len(), tree.sources.tests.len());
    println!("tidy: {files} files, {tests} scheduler tests, {} complaints", complaints.len());
    Ok(complaints.is_empty())
}

/// The repository's files: what git tracks, and what it would.
struct Tree {
    root: PathBuf,
    /// Relative to the root.
    files: Vec<PathBuf>,
    sources: Sources,
}

impl Tree {
    /// Lists the files and parses what is Rust.
    ///
    /// # Errors
    /// Without git or cargo, or when a source file does not parse.
    fn read(shell: &Shell) -> Result<Self> {
        let metadata = ktstr_cli::cargo::metadata(shell)?;
        let root = metadata["workspace_root"].as_str().context("`cargo metadata` names no workspace root")?;
        let listed = cmd!(shell, "git -C {root} ls-files -z --cached --others --exclude-standard").quiet().read();
        let listed = listed.context("cannot list the files of this repository")?;
        let root = Path::new(root).canonicalize().with_context(|| format!("cannot find {root}"))?;
        let there = |file: &PathBuf| root.join(file).is_file();
        let files = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).filter(there).collect();
        Ok(Self { files, sources: Sources::of(&metadata, |_| true)?, root })
    }

    /// What the files alone tell.
    fn complaints(&self) -> Vec<String> {
        let mut complaints = rust::complaints(self);
        complaints.extend(self.texts().flat_map(|(path, text)| text::complaints(path, &text)));
        complaints.extend(paths::complaints(self));
        complaints.extend(data::complaints(self));
        complaints
    }

    /// All files that are text.
    fn texts(&self) -> impl Iterator<Item = (&Path, String)> {
        self.files.iter().filter_map(|file| Some((file.as_path(), fs::read_to_string(self.root.join(file)).ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let complaints = Tree::read(&Shell::new().unwrap()).unwrap().complaints();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }
}
