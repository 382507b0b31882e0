//! Builds the guest's agent, a static binary, with the toolchain that builds this crate, and leaves it in `OUT_DIR`.
//!
//! The nested cargo has a target directory of its own, so it never waits for the lock of the one that runs this script.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Crates whose sources the agent is made of.
const SOURCES: [&str; 3] = ["agent", "btf", "wire"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let root = here.join("..");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
    if let Err(why) = build(&root, &out) {
        eprintln!("cannot build the guest's agent: {why}");
        exit(1);
    }
}

fn build(root: &Path, out: &Path) -> Result<(), String> {
    let target_dir = out.join("agent-target");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "ktstr-agent",
        "--profile",
        "agent",
        "--target",
        TARGET,
    ]);
    command.arg("--manifest-path").arg(root.join("Cargo.toml")).arg("--target-dir").arg(&target_dir);
    // The outer build's flags, wrappers and profile are its own.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && !text.starts_with("CARGO_HOME") && !text.starts_with("CARGO_NET")
            || text.starts_with("RUSTC")
        {
            command.env_remove(&name);
        }
    }
    command.env("RUSTFLAGS", "-C target-feature=+crt-static");
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if !status.success() {
        return Err(format!("{command:?} ended with {status}"));
    }
    let built = target_dir.join(TARGET).join("agent/ktstr-agent");
    let agent = std::fs::read(&built).map_err(|error| format!("cannot read {}: {error}", built.display()))?;
    leave(&out.join("ktstr-agent.stamp"), stamp(&agent).as_bytes())?;
    leave(&out.join("ktstr-agent"), &agent)
}

/// Tells one build of the agent from another, so that no test needs to read the whole of it.
fn stamp(agent: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    agent.hash(&mut hasher);
    format!("{} {:016x}", agent.len(), hasher.finish())
}

fn leave(path: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
