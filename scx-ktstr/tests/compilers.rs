//! Whether every clang of this machine compiles the BPF code, each for itself and not only the newest, which built it.

#[path = "../build/clang.rs"]
#[expect(dead_code, reason = "the newest is the build script's choice")]
mod clang;

use anyhow::Result;
use libbpf_cargo::SkeletonBuilder;
use libbpf_rs::ObjectBuilder;
use std::ffi::OsString;
use std::path::Path;

/// Where the build script has put `vmlinux.h`.
const HEADER_DIR: &str = env!("OUT_DIR");

/// The programs in what a compiler makes of the code, as libbpf reads it.
fn programs(clang: &Path) -> Result<Vec<OsString>> {
    let dir = tempfile::tempdir()?;
    let object = dir.path().join("ktstr.o");
    let mut builder = SkeletonBuilder::new();
    builder.source("src/bpf/ktstr.bpf.c").obj(&object).clang(clang);
    builder.clang_args(clang::arguments(Path::new(HEADER_DIR)).into_iter().chain(["-Werror".into()]));
    builder.build()?;
    let open = ObjectBuilder::default().open_file(&object)?;
    Ok(open.progs().map(|program| program.name().to_owned()).collect())
}

/// Which ones that were is in the test's output.
#[test]
fn every_clang_here_compiles_it() {
    let mut found = clang::all();
    found.sort();
    let tried: Vec<String> = found.iter().map(|(_, path)| path.display().to_string()).collect();
    println!("tried {}", tried.join(", "));
    assert!(!tried.is_empty(), "no clang has built this?");
    for (_, path) in &found {
        let programs = programs(path).unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
        for name in ["ktstr_enqueue", "ktstr_dispatch", "ktstr_rejected_tick"] {
            assert!(programs.iter().any(|program| program == name), "{}: {programs:?}", path.display());
        }
    }
}
