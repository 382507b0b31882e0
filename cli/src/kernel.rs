//! `kernel`: the kernels in the cache.

use crate::progress::Bar;
use crate::setup::{self, Group};
use anyhow::{Context, Result, bail};
use ktstr_cache::Cache;
use ktstr_kernels::{Clean, Kernel, Kernels, SchedExtPart, SchedExtPrograms, Spec};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List, fetch, build and remove kernels
///
/// SPEC is latest, host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List the cached kernels
    List,
    /// Bring a kernel into the cache
    Fetch {
        /// latest, host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
        spec: Spec,
    },
    /// Print the path of a kernel's ELF image, fetched if need be
    Path {
        /// latest, host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
        spec: Spec,
    },
    /// Remove a kernel from the cache, or all
    #[group(required = true, multiple = false)]
    Clean {
        /// The kernel's id, or the beginning of it
        id: Option<String>,
        /// Remove every kernel and the package index
        #[arg(long)]
        all: bool,
    },
    /// Build a kernel with the options that tests need, into the cache
    Build {
        /// source:PACKAGE, such as source:linux-source-6.12, source:DIR or source:TARBALL
        source: Spec,
    },
    /// Build the schedulers of a kernel's own tools/sched_ext (scx_simple, scx_qmap …), and print their paths
    Schedulers {
        /// latest, host, X.Y, X.Y.Z, path:DIR-or-FILE or deb:PACKAGE
        #[arg(default_value = "latest")]
        spec: Spec,
        /// Put copies into this directory, too, under their names alone
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
}

/// Does what the command line says.
///
/// # Errors
/// What finding, fetching, building or removing came to.
pub fn run(args: &Args) -> Result<ExitCode> {
    let kernels = Kernels::new(Cache::open_default()?);
    match &args.verb {
        Verb::List => list(&kernels)?,
        Verb::Fetch { spec } => print_entry(&resolve(&absolute(spec)?)?),
        Verb::Path { spec } => println!("{}", resolve(&absolute(spec)?)?.vmlinux().display()),
        Verb::Clean { id, all } => clean(&kernels, id.as_deref(), *all)?,
        Verb::Build { source } => build(&kernels, source)?,
        Verb::Schedulers { spec, into } => schedulers(&resolve(&absolute(spec)?)?, into.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The kernel that a spec means, fetched with a progress bar when it is not cached.
///
/// # Errors
/// When the machine lacks what fetching needs, or there is no such kernel.
pub fn resolve(spec: &Spec) -> Result<Kernel> {
    if matches!(spec, Spec::Latest | Spec::Version(_) | Spec::Deb(_)) {
        setup::ensure(&[Group::Packages])?;
    }
    let kernels = Kernels::new(Cache::open_default()?);
    kernels.resolve(spec, &Bar::default()).with_context(|| format!("cannot get the kernel {spec}"))
}

/// The spec, if it is a path, from the root: tests run in directories of their own.
///
/// # Errors
/// When the path leads nowhere.
pub fn absolute(spec: &Spec) -> Result<Spec> {
    match spec {
        Spec::Path(path) => {
            let whole = path.canonicalize().with_context(|| format!("cannot find the kernel {}", path.display()))?;
            Ok(Spec::Path(whole))
        }
        other => Ok(other.clone()),
    }
}

fn list(kernels: &Kernels) -> Result<()> {
    let kernels = kernels.list()?;
    if kernels.is_empty() {
        println!("no kernel is cached; `kernel fetch latest` gets one");
    }
    for kernel in kernels {
        let has = |name| if kernel.option(name) { "yes" } else { "no" };
        let btf = if kernel.meta.btf.is_sound() { "sound" } else { "unsound" };
        println!("{}  sched_ext {}, BTF {btf}, from {}", kernel.id, has("SCHED_CLASS_EXT"), kernel.meta.spec);
        kernel.meta.warnings.iter().for_each(|warning| println!("    {warning}"));
    }
    Ok(())
}

fn clean(kernels: &Kernels, id: Option<&str>, all: bool) -> Result<()> {
    let what = match id {
        Some(id) if !all => Clean::Id(id),
        _ => Clean::All,
    };
    let gone = kernels.clean(what)?;
    gone.iter().for_each(|id| println!("removed {id}"));
    Ok(())
}

fn build(kernels: &Kernels, source: &Spec) -> Result<()> {
    let Spec::Source(source) = source else {
        bail!("{source} is a kernel that exists already: name source:PACKAGE, source:DIR or source:TARBALL")
    };
    setup::ensure(&[Group::KernelBuild, Group::Packages])?;
    let kernel = kernels.build(source, &Bar::default()).with_context(|| format!("cannot build {source}"))?;
    print_entry(&kernel);
    Ok(())
}

/// What of a kernel's own sched_ext programs is asked for, built when it is not cached.
///
/// # Errors
/// When the machine lacks what building needs, or the build fails.
pub(crate) fn sched_ext(kernel: &Kernel, part: SchedExtPart) -> Result<SchedExtPrograms> {
    setup::ensure(&[Group::SchedExt, Group::Packages])?;
    let kernels = Kernels::new(Cache::open_default()?);
    let built = kernels.sched_ext(kernel, part, &Bar::default());
    built.with_context(|| format!("cannot build the sched_ext {part} of {}", kernel.meta.release))
}

/// Builds the schedulers, and copies them where they are wanted.
///
/// # Errors
/// As [`sched_ext`], and when a copy cannot be made.
pub fn schedulers(kernel: &Kernel, into: Option<&Path>) -> Result<()> {
    let mut programs = sched_ext(kernel, SchedExtPart::Schedulers)?.programs;
    if let Some(dir) = into {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        programs = programs.iter().map(|program| copy(program, dir)).collect::<Result<_>>()?;
    }
    programs.iter().for_each(|program| println!("{}", program.display()));
    Ok(())
}

/// Copies a program; one of that name that runs, or is being read, stays what it is for those who have it open.
fn copy(program: &Path, dir: &Path) -> Result<PathBuf> {
    let to = dir.join(program.file_name().unwrap_or_default());
    let place = || -> Result<()> {
        let fresh = tempfile::NamedTempFile::new_in(dir)?.into_temp_path();
        fs::copy(program, &fresh)?;
        Ok(fresh.persist(&to)?)
    };
    place().with_context(|| format!("cannot copy {} to {}", program.display(), to.display()))?;
    Ok(to)
}

fn print_entry(kernel: &Kernel) {
    println!("{}  {}", kernel.id, kernel.meta.release);
    println!("path:{}", kernel.dir.display());
}
