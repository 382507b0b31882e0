//! The C compiler for BPF.

use anyhow::{Context, Result};
use ktstr_kernels::search_path;
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
    let dirs = search_path::dirs();
    let plain = dirs.iter().map(|dir| (u32::MAX, dir.join("clang")));
    let named = search_path::versions(&dirs, "clang").into_iter().chain(plain);
    let by_program: BTreeMap<_, _> =
        named.filter_map(|(version, path)| Some((fs::canonicalize(&path).ok()?, (version, path)))).collect();
    by_program.into_values().collect()
}
