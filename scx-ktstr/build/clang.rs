//! The C compiler for BPF.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What it is told beside what libbpf-cargo says, which has the debug information and the optimisation.
pub(crate) fn arguments(header_dir: &Path) -> Vec<OsString> {
    // clang 19 refuses some atomics below v3. From 7.0 on, kernels have members that are tagged and anonymous.
    let plain = ["-mcpu=v3", "-Wall", "-fms-extensions", "-Wno-microsoft-anon-tag", "-I"];
    plain.into_iter().map(OsString::from).chain([header_dir.into()]).collect()
}

/// The one that `CLANG` names, or `clang`, or the newest `clang-N` on the search path.
///
/// # Errors
/// When there is none.
pub(crate) fn find() -> Result<PathBuf> {
    println!("cargo::rerun-if-env-changed=CLANG");
    if let Some(named) = env::var_os("CLANG").filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let found = all().into_iter().max_by_key(|(version, _)| *version);
    let (_, path) = found.context(
        "there is no clang on the search path, which BPF code needs: run `cargo xtask setup bpf`, install it \
         (on Debian, `apt-get install clang`), or name one in CLANG",
    )?;
    Ok(path)
}

/// All on the search path, with their major versions; `clang` without one is taken to be the newest. One program has one
/// entry, whatever links to it.
pub(crate) fn all() -> Vec<(u32, PathBuf)> {
    let path = env::var_os("PATH").unwrap_or_default();
    let files = env::split_paths(&path).filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let named = files.filter_map(|file| Some((version(file.file_name().to_str()?)?, file.path())));
    let by_program: BTreeMap<_, _> =
        named.filter_map(|(version, path)| Some((fs::canonicalize(&path).ok()?, (version, path)))).collect();
    by_program.into_values().collect()
}

fn version(name: &str) -> Option<u32> {
    match name.strip_prefix("clang")? {
        "" => Some(u32::MAX),
        rest => rest.strip_prefix('-')?.parse().ok(),
    }
}
