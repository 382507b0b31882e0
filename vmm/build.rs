//! Compiles the plugin for QEMU, a shared object without the standard library, and leaves it in `OUT_DIR`.

use std::env;
use std::path::PathBuf;
use std::process::{Command, exit};

const SOURCES: &str = "plugin";
/// Files of the crate that are part of the plugin, too.
const SHARED: [&str; 2] = ["src/qemu/stops/layout.rs", "src/qemu/stops/looks.rs"];

fn main() {
    println!("cargo::rerun-if-changed={SOURCES}");
    SHARED.iter().for_each(|file| println!("cargo::rerun-if-changed={file}"));
    // Set where the plugin is built, and nowhere else.
    println!("cargo::rustc-check-cfg=cfg(ktstr_plugin)");
    if let Err(why) = build() {
        eprintln!("cannot build the plugin for QEMU: {why}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let variable = |name: &str| env::var_os(name).ok_or_else(|| format!("cargo set no {name}"));
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join(SOURCES).join("plugin.rs");
    let mut command = Command::new(variable("RUSTC")?);
    command.args(["--edition=2024", "--crate-name=ktstr_plugin", "--crate-type=cdylib"]);
    command.args(["--cfg=ktstr_plugin", "--check-cfg=cfg(ktstr_plugin)"]);
    command.args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols", "-Clink-arg=-nostdlib"]);
    command.arg("--target").arg(variable("TARGET")?);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={}", linker.display()));
    }
    command.arg("-o").arg(PathBuf::from(variable("OUT_DIR")?).join("ktstr-plugin.so")).arg(source);
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
