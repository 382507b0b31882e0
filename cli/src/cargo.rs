//! Cargo, as started from a program that cargo may have started.

use anyhow::{Context, Result};
use std::path::PathBuf;
use xshell::{Cmd, Shell, cmd};

/// A cargo command that knows nothing of the cargo that runs this program.
pub fn command<'a>(shell: &'a Shell, arguments: &[String]) -> Cmd<'a> {
    let command = cmd!(shell, "cargo {arguments...}").env_remove("CARGO");
    ktstr::variables_of_the_caller().fold(command, |command, name| command.env_remove(name))
}

/// What `cargo metadata` says of the workspace around the current directory, without its dependencies.
///
/// # Errors
/// When there is none.
pub fn metadata(shell: &Shell) -> Result<serde_json::Value> {
    let arguments = ["metadata", "--no-deps", "--format-version=1"].map(str::to_owned);
    let text = command(shell, &arguments).quiet().read().context("cannot ask cargo about this workspace")?;
    serde_json::from_str(&text).context("cannot read what `cargo metadata` says")
}

/// The directory that cargo builds the current workspace into.
///
/// # Errors
/// As [`metadata`].
pub fn target_dir(shell: &Shell) -> Result<PathBuf> {
    let metadata = metadata(shell)?;
    let dir = metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(dir))
}

/// Whether `cargo nextest` is installed: a look at the search path, and at where `cargo install` puts programs.
pub fn has_nextest() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    dirs.extend(home.map(|home| home.join("bin")));
    dirs.iter().any(|dir| dir.join("cargo-nextest").is_file())
}
