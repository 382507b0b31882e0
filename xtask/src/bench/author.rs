//! The loop of somebody who writes scheduler tests in a crate of their own.

use super::cpu_by_crate::Wrapper;
use super::process::{self, Measured};
use super::row::{Budget, Row};
use super::steady::default_kernel;
use anyhow::{Context, Result};
use ktstr_cli::cargo;
use ktstr_cli::setup::{self, Group};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use xshell::Shell;

const CLEAN_BUILD: Budget = Budget::Value(120.0);
const EDIT_TO_VERDICT: Budget = Budget::Value(12.0);
const PROGRAM_SIZE: Budget = Budget::Value(60.0);
/// Crates that get a row of their own: those that took longest.
const SHOWN: usize = 10;

const TESTS: &str = r#"//! Scheduler tests.

use ktstr::prelude::*;

#[ktstr_test(llcs = 1, cores = 2, threads = 1)]
fn my_test(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 1, cores = 2, threads = 1)]
fn my_defs(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("cg_0").workers(2), CgroupDef::named("cg_1").workers(2)])
}
"#;

/// Measures.
///
/// # Errors
/// When the crate cannot be made or built, or its test does not pass.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    setup::ensure(&[Group::Emulator])?;
    let kernel = format!("path:{}", default_kernel()?.dir.display());
    let outside = Outside::make()?;
    let clean = outside.cargo(&["test", "--no-run"], &kernel)?;
    let by_crate = outside.wrapper.cpu_s()?;
    let size_bytes = outside.program_bytes()?;
    // The first run packs the new program's libraries.
    outside.cargo(&["test", "--test=sched", "--", "--exact", "my_defs"], &kernel)?;
    let (mut verdict_s, mut build_s) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        outside.edit(&format!("cg_{round}_a"))?;
        verdict_s.push(outside.cargo(&["test", "--test=sched", "--", "--exact", "my_defs"], &kernel)?.wall_s);
        outside.edit(&format!("cg_{round}_b"))?;
        build_s.push(outside.cargo(&["test", "--test=sched", "--no-run"], &kernel)?.wall_s);
    }
    let mut rows = vec![
        Row::new("author: edit to verdict of a 2 s test (tcg)", "s", &verdict_s).within(EDIT_TO_VERDICT),
        Row::new("author: of which build", "s", &build_s),
        Row::new("author: test program", "MB", &[size_bytes as f64 / 1e6]).within(PROGRAM_SIZE),
        Row::new("author: clean build", "s", &[clean.wall_s]).within(CLEAN_BUILD),
        Row::new("author: clean build, CPU time", "s", &[clean.cpu_s]),
    ];
    let of_crate = |(name, seconds): &(String, f64)| Row::new(format!("author: of which {name}"), "s", &[*seconds]);
    rows.extend(by_crate.iter().take(SHOWN).map(of_crate));
    Ok(rows)
}

/// A crate outside the workspace, which is gone after use.
struct Outside {
    dir: TempDir,
    wrapper: Wrapper,
}

impl Outside {
    fn make() -> Result<Self> {
        let metadata = cargo::metadata(&Shell::new()?)?;
        let root = metadata["workspace_root"].as_str().context("`cargo metadata` names no workspace")?;
        let dir = tempfile::Builder::new().prefix("ktstr-bench-").tempdir().context("cannot make a directory")?;
        let manifest = format!(
            "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dev-dependencies]\nktstr = {{ path = {:?} }}\n",
            Path::new(root).join("ktstr")
        );
        let outside = Self { wrapper: Wrapper::put(dir.path())?, dir };
        outside.write("Cargo.toml", &manifest)?;
        outside.write("src/lib.rs", "//! Nothing but its tests.\n")?;
        outside.write("tests/sched.rs", TESTS)?;
        // The versions that are downloaded already.
        let lock = std::fs::read_to_string(Path::new(root).join("Cargo.lock")).context("cannot read Cargo.lock")?;
        outside.write("Cargo.lock", &lock)?;
        Ok(outside)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.dir.path().join(file);
        let parent = path.parent().unwrap_or(self.dir.path());
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        written.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Changes one line of the tests.
    fn edit(&self, cgroup: &str) -> Result<()> {
        self.write("tests/sched.rs", &TESTS.replace("cg_0", cgroup))
    }

    fn target_dir(&self) -> PathBuf {
        self.dir.path().join("target")
    }

    fn cargo(&self, words: &[&str], kernel: &str) -> Result<Measured> {
        let shell = Shell::new()?;
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut command = Command::from(cargo::command(&shell, &words));
        command
            .current_dir(self.dir.path())
            .env("CARGO_TARGET_DIR", self.target_dir())
            .env("CARGO_NET_OFFLINE", "true");
        command.env("RUSTC_WRAPPER", &self.wrapper.program);
        command.env("KTSTR_KERNEL", kernel).env("KTSTR_ACCEL", "tcg");
        process::measure(&mut command)
    }

    /// Size of the test program, debug information and all.
    fn program_bytes(&self) -> Result<u64> {
        let deps = self.target_dir().join("debug/deps");
        let entries = std::fs::read_dir(&deps).with_context(|| format!("cannot list {}", deps.display()))?;
        let is_it = |name: &str| name.starts_with("sched-") && !name.contains('.');
        let mut programs = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_it));
        let program = programs.next().with_context(|| format!("no test program is in {}", deps.display()))?;
        Ok(program.metadata().with_context(|| format!("cannot look at {}", program.path().display()))?.len())
    }
}
