//! Kernels built from source: tinyconfig, our fragment, olddefconfig, and the kernel alone, out of tree.

mod fragment;
mod tools;
pub(crate) mod tree;

pub(crate) use tools::{require, version};

use crate::command;
use crate::error::{Error as KernelError, io_context, write_context};
use crate::hash;
use crate::install::{Known, install};
use crate::kconfig::Kconfig;
use crate::kernel::{Kernel, Origin};
use crate::kernels::{Kernels, entry_id};
use crate::progress::Progress;
use crate::spec::Source;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;

/// The options that every build gets; `ktstr.kconfig` at the top of the repository.
pub const FRAGMENT: &str = include_str!("../../../ktstr.kconfig");

/// Why no kernel was built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Programs or headers that a build needs are not installed.
    #[error("this build needs {}: install with `apt-get install {}`", missing.join(", "), packages.join(" "))]
    MissingTools {
        /// The programs and headers.
        missing: Vec<String>,
        /// Packages that have them.
        packages: Vec<String>,
    },
    /// A source that is not there, or not yet understood.
    #[error("cannot build {what}: {why}")]
    Source {
        /// The source.
        what: String,
        /// Why not, and what to do.
        why: String,
    },
    /// Options of the fragment that the configuration step dropped.
    #[error("this kernel source does not accept {} of the wanted options: {}", lost.len(), lost.join("; "))]
    Lost {
        /// Each option with the value wanted and got, and its dependencies where they can be told.
        lost: Vec<String>,
    },
    /// A step of the build.
    #[error("{step} failed ({status}):\n{said}")]
    Step {
        /// The command's purpose.
        step: String,
        /// How it ended.
        status: String,
        /// Its last words.
        said: String,
    },
    /// A program that could not be started.
    #[error("cannot run {program}")]
    Start {
        /// The program.
        program: String,
        /// What came back.
        source: io::Error,
    },
}

/// Builds `source` into the cache of `kernels`.
pub(crate) fn build(kernels: &Kernels, source: &Source, progress: &dyn Progress) -> Result<Kernel, KernelError> {
    let tools = tools::check()?;
    let origin = tree::locate(kernels, source, progress)?;
    let versions: String = tools.iter().map(|(name, version)| format!("{name} {version}\n")).collect();
    let source_hash = hash::of_bytes(format!("{}\n{versions}{FRAGMENT}", origin.hash).as_bytes());
    let id = entry_id(&format!("{}-ktstr", origin.name), &source_hash);
    let spec = source.to_string();
    kernels.entry(&id, |dir| {
        // Inside the entry's scratch directory: what an interrupted build leaves is swept with it.
        let work = dir.join("work");
        write_context(fs::create_dir(&work), "create the directory", &work)?;
        let tree = tree::unpack(kernels, &origin, &work, &[], progress)?;
        let out = work.join("out");
        configure(&tree, &out, progress)?;
        compile(&tree, &out, &origin.name, progress)?;
        let vmlinux = out.join("vmlinux");
        let image = io_context(File::open(&vmlinux), "open the built", &vmlinux)?;
        let config_path = out.join(".config");
        let config = io_context(fs::read_to_string(&config_path), "read", &config_path)?;
        let known = Known {
            spec: &spec,
            what: &spec,
            origin: Origin::Built(spec.clone()),
            source_hash: source_hash.clone(),
            tools: tools.clone(),
        };
        install(dir, &image, Some(config), known)?;
        write_context(fs::remove_dir_all(&work), "remove the build tree", &work)
    })
}

fn configure(tree: &Path, out: &Path, progress: &dyn Progress) -> Result<(), KernelError> {
    progress.step("configuring the kernel");
    write_context(fs::create_dir_all(out), "create the directory", out)?;
    make(tree, out, &["tinyconfig"], |_| ())?;
    let path = out.join(".config");
    let tiny = io_context(fs::read_to_string(&path), "read", &path)?;
    // The last word on an option counts.
    write_context(fs::write(&path, format!("{tiny}\n{FRAGMENT}")), "write", &path)?;
    make(tree, out, &["olddefconfig"], |_| ())?;
    let config = io_context(fs::read_to_string(&path), "read", &path)?;
    let lost = fragment::lost(FRAGMENT, &Kconfig::parse(&config));
    if lost.is_empty() {
        return Ok(());
    }
    let lost =
        lost.into_iter().map(|option| format!("{option}{}", fragment::dependencies(tree, &option.name))).collect();
    Err(Error::Lost { lost }.into())
}

fn compile(tree: &Path, out: &Path, name: &str, progress: &dyn Progress) -> Result<(), KernelError> {
    const REPORT_EVERY: usize = 250;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    progress.step(&format!("compiling linux {name} on {jobs} CPUs"));
    let mut objects = 0;
    Ok(make(tree, out, &[&format!("-j{jobs}"), "vmlinux"], |line| {
        let is_object = line.starts_with("  CC") || line.starts_with("  AS");
        objects += usize::from(is_object);
        if is_object && objects % REPORT_EVERY == 0 {
            progress.step(&format!("compiling linux {name}: {objects} files"));
        }
    })?)
}

fn make(tree: &Path, out: &Path, arguments: &[&str], line: impl FnMut(&str)) -> Result<(), Error> {
    let mut command = Command::new("make");
    command.arg("-C").arg(tree).arg(format!("O={}", out.display())).arg("ARCH=x86").args(arguments);
    // The same source gives the same kernel, whoever builds it, whenever.
    let fixed =
        [("KBUILD_BUILD_USER", "ktstr"), ("KBUILD_BUILD_HOST", "ktstr"), ("KBUILD_BUILD_TIMESTAMP", "1970-01-01")];
    command.envs(fixed).env("LC_ALL", "C.UTF-8").env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    run(&mut command, &format!("make {}", arguments.join(" ")), line)
}

/// Runs a step; when it fails, its last words are the error.
pub(crate) fn run(command: &mut Command, step: &str, line: impl FnMut(&str)) -> Result<(), Error> {
    const LAST_LINES: usize = 15;
    let start_error = |source| Error::Start { program: command_name(step), source };
    let finished = command::run(command, line).map_err(start_error)?;
    if finished.status.success() {
        return Ok(());
    }
    let lines: Vec<&str> = finished.errors.lines().collect();
    let said = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
    Err(Error::Step { step: step.to_owned(), status: finished.status.to_string(), said })
}

fn command_name(step: &str) -> String {
    step.split(' ').next().unwrap_or(step).to_owned()
}
