//! Builds the BPF object: which compiler, which kernel's types, and the skeleton that the program is linked with.

mod clang;
mod header;
mod vmlinux;

use anyhow::{Context, Result};
use libbpf_cargo::SkeletonBuilder;
use std::path::Path;
use std::{env, fs};

const SOURCE: &str = "src/bpf/ktstr.bpf.c";

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=src/bpf");
    let out = env::var_os("OUT_DIR").context("cargo has set no OUT_DIR")?;
    let out = Path::new(&out);
    let vmlinux = vmlinux::find()?;
    println!("cargo::rerun-if-changed={}", vmlinux.display());
    let types = header::of(&vmlinux)?;
    fs::write(out.join("vmlinux.h"), types).with_context(|| format!("cannot write to {}", out.display()))?;
    let clang = clang::find()?;
    SkeletonBuilder::new()
        .source(SOURCE)
        .obj(out.join("ktstr.o"))
        .clang(&clang)
        .clang_args(clang::arguments(out))
        .build_and_generate(out.join("ktstr.skel.rs"))
        .with_context(|| {
            format!("{} does not compile {SOURCE} with the types of {}", clang.display(), vmlinux.display())
        })
}
