//! How the programs are made.

use super::SchedExtPart;
use super::clang::Clang;
use super::source::Source;
use crate::compile::{self, tree};
use crate::error::{Error, io_context, write_context};
use crate::kernels::Kernels;
use crate::progress::Progress;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Another one where the same source and tools would be built in another way.
pub(super) const RECIPE: u32 = 1;

/// Where the programs are in an entry.
pub(super) const BIN: &str = "bin";

/// What of the source both parts need: libbpf and bpftool are built of it, too.
const TREE: &[&str] = &[
    "include",
    "kernel/bpf/disasm.c",
    "kernel/bpf/disasm.h",
    "scripts/bpf_doc.py",
    "tools/arch",
    "tools/bpf",
    "tools/build",
    "tools/include",
    "tools/lib",
    "tools/sched_ext",
    "tools/scripts",
    "tools/testing/selftests/kselftest.h",
    "tools/testing/selftests/lib.mk",
    "tools/testing/selftests/sched_ext",
];

/// Programs, and the packages that have them. `python3` writes the header of libbpf's helpers.
const PROGRAMS: &[(&str, &str)] =
    &[("make", "make"), ("gcc", "gcc"), ("python3", "python3"), ("tar", "tar"), ("xz", "xz-utils")];

const HEADERS: &[(&str, &str)] = &[("gelf.h", "libelf-dev"), ("zlib.h", "zlib1g-dev")];
/// The runner is linked with zstd.
const SELFTEST_HEADERS: &[(&str, &str)] =
    &[("gelf.h", "libelf-dev"), ("zlib.h", "zlib1g-dev"), ("zstd.h", "libzstd-dev")];

/// Checks that what the build needs is installed, except for clang.
pub(super) fn require_tools(part: SchedExtPart) -> Result<(), compile::Error> {
    let headers = match part {
        SchedExtPart::Schedulers => HEADERS,
        SchedExtPart::Selftests => SELFTEST_HEADERS,
    };
    compile::require(PROGRAMS, headers)
}

/// Builds in `<entry>/work`; the programs are in `<entry>/bin` then.
pub(super) fn build(
    kernels: &Kernels,
    source: &Source,
    part: SchedExtPart,
    vmlinux: &Path,
    clang: &Clang,
    entry: &Path,
    progress: &dyn Progress,
) -> Result<(), Error> {
    let work = entry.join("work");
    let tree = tree::unpack(kernels, &source.located(), &work, TREE, progress)?;
    let out = work.join("out");
    write_context(fs::create_dir(&out), "create the directory", &out)?;
    progress.step(&format!("building the sched_ext {part} of {} with {}", source.name(), clang.program));
    make(part, &tree, &out, vmlinux, clang)?;
    let bin = entry.join(BIN);
    write_context(fs::create_dir(&bin), "create the directory", &bin)?;
    for program in built(part, &out)? {
        let to = bin.join(program.file_name().unwrap_or_default());
        write_context(fs::copy(&program, &to), "copy a program to", &to)?;
    }
    Ok(())
}

fn make(part: SchedExtPart, tree: &Path, out: &Path, vmlinux: &Path, clang: &Clang) -> Result<(), Error> {
    // The two makefiles have different words for the place of what they build.
    let (dir, place) = match part {
        SchedExtPart::Schedulers => ("tools/sched_ext", "O"),
        SchedExtPart::Selftests => ("tools/testing/selftests/sched_ext", "OUTPUT"),
    };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = Command::new("make");
    command
        .arg("-C")
        .arg(tree.join(dir))
        .arg(format!("-j{jobs}"))
        .arg(format!("{place}={}", out.display()))
        .arg(format!("VMLINUX_BTF={}", vmlinux.display()))
        .arg(format!("CLANG={}", clang.program))
        // bpftool's own BPF programs may keep their debug information; no LLVM tool is needed then.
        .arg("LLVM_STRIP=true");
    // What a caller's make or shell has set is not for this build. The makefile reads the compiler's words in English.
    for name in ["MAKEFLAGS", "MAKELEVEL", "O", "OUTPUT", "KBUILD_OUTPUT", "CROSS_COMPILE", "ARCH", "LLVM", "CFLAGS"] {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C.UTF-8");
    Ok(compile::run(&mut command, &format!("make -C {dir}"), |_| ())?)
}

/// The programs that make has made.
fn built(part: SchedExtPart, out: &Path) -> Result<Vec<PathBuf>, Error> {
    match part {
        SchedExtPart::Selftests => Ok(vec![out.join("runner")]),
        SchedExtPart::Schedulers => {
            let dir = out.join("build/bin");
            let found = io_context(fs::read_dir(&dir), "read the built programs in", &dir)?;
            Ok(found.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_file()).collect())
        }
    }
}
