//! Kernel source: where it is, what tells it apart, and how it becomes a tree.

use super::{Error, run};
use crate::answers::FRESH_FOR;
use crate::apt::{self, Apt};
use crate::error::{Error as KernelError, io_context, write_context};
use crate::hash::{self, Hasher};
use crate::kernels::Kernels;
use crate::progress::Progress;
use crate::spec::Source;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where source is, and what tells it from other source.
pub(crate) struct Located {
    /// A version or file name, for the id.
    pub(crate) name: String,
    /// Changes with the contents.
    pub(crate) hash: String,
    pub(crate) place: Place,
}

/// What source is.
pub(crate) enum Place {
    /// A package of the distribution.
    Package(apt::Package),
    /// A packed tree.
    Tarball(PathBuf),
    /// A tree.
    Dir(PathBuf),
}

/// Finds the source and what identifies it, without unpacking anything.
pub(super) fn locate(kernels: &Kernels, source: &Source, progress: &dyn Progress) -> Result<Located, KernelError> {
    match source {
        Source::Package(name) => locate_package(kernels, name, progress),
        Source::Tarball(path) => locate_tarball(path, progress),
        Source::Dir(path) => locate_dir(path, progress),
        Source::Git(_) => Err(unusable(source, "check the revision out, and give the directory as source:DIR")),
    }
}

fn unusable(source: &Source, why: impl Into<String>) -> KernelError {
    Error::Source { what: source.to_string(), why: why.into() }.into()
}

fn locate_package(kernels: &Kernels, name: &str, progress: &dyn Progress) -> Result<Located, KernelError> {
    let apt = Apt::open(&kernels.cache)?;
    apt.refresh(FRESH_FOR, progress)?;
    let mut found = apt.show(&[name])?;
    found.sort_by(apt::by_version);
    match found.pop() {
        Some(package) => {
            let name = package.kernel_version().map_or(package.version.clone(), |version| version.to_string());
            Ok(Located { name, hash: package.sha256.clone(), place: Place::Package(package) })
        }
        None => Err(KernelError::NotFound {
            spec: format!("source:{name}"),
            looked: format!("a package {name} in the distribution's suites"),
            near: apt.names("linux-source")?,
        }),
    }
}

fn locate_tarball(path: &Path, progress: &dyn Progress) -> Result<Located, KernelError> {
    let mut file = io_context(File::open(path), "open the source", path)?;
    progress.step(&format!("reading {}", path.display()));
    let hash = io_context(hash::of_reader(&mut file), "read the source", path)?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file_name
        .split(".tar")
        .next()
        .unwrap_or_default()
        .trim_start_matches("linux-")
        .trim_start_matches("source-")
        .to_owned();
    Ok(Located { name, hash, place: Place::Tarball(path.to_owned()) })
}

fn locate_dir(path: &Path, progress: &dyn Progress) -> Result<Located, KernelError> {
    let path = io_context(fs::canonicalize(path), "find the source", path)?;
    let source = Source::Dir(path.clone());
    let makefile = fs::read_to_string(path.join("Makefile")).unwrap_or_default();
    let name = version_of(&makefile)
        .ok_or_else(|| unusable(&source, "it has no kernel Makefile: give the top of a kernel tree"))?;
    if path.join(".config").exists() || path.join("include/config").exists() {
        return Err(unusable(&source, "it was built in; run `make mrproper` in it first, or give a clean tree"));
    }
    progress.step(&format!("looking through {}", path.display()));
    let mut hasher = Hasher::new();
    let walked = fingerprint(&path, &mut hasher);
    io_context(walked, "look through", &path)?;
    Ok(Located { name, hash: hasher.finish(), place: Place::Dir(path) })
}

/// `VERSION.PATCHLEVEL.SUBLEVEL` with `EXTRAVERSION`, from the head of the top Makefile.
fn version_of(makefile: &str) -> Option<String> {
    let field =
        |name: &str| makefile.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().strip_prefix('=')?.trim()));
    let (version, patch, sub) = (field("VERSION")?, field("PATCHLEVEL")?, field("SUBLEVEL")?);
    Some(format!("{version}.{patch}.{sub}{}", field("EXTRAVERSION").unwrap_or_default()))
}

/// Names, sizes and times of all files: enough to see a change without reading a gigabyte.
fn fingerprint(dir: &Path, hasher: &mut Hasher) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.retain(|path| path.file_name().is_some_and(|name| name != ".git"));
    entries.sort();
    for path in entries {
        let found = fs::symlink_metadata(&path)?;
        writeln!(hasher, "{} {} {}.{}", path.display(), found.size(), found.mtime(), found.mtime_nsec())?;
        if found.is_dir() {
            fingerprint(&path, hasher)?;
        }
    }
    Ok(())
}

/// The tree, unpacked below `work` where it is packed. Of a packed tree only the files and directories `only` are unpacked,
/// or all of it when none is named.
pub(crate) fn unpack(
    kernels: &Kernels,
    located: &Located,
    work: &Path,
    only: &[&str],
    progress: &dyn Progress,
) -> Result<PathBuf, KernelError> {
    match &located.place {
        Place::Dir(path) => Ok(path.clone()),
        Place::Tarball(path) => unpack_tarball(path, work, only, progress),
        Place::Package(package) => {
            let deb = Apt::open(&kernels.cache)?.download(package, work, progress)?;
            let files = work.join("package");
            let mut command = Command::new("dpkg-deb");
            run(command.arg("-x").arg(&deb).arg(&files), "dpkg-deb -x", |_| ())?;
            let source_dir = files.join("usr/src");
            let tarballs = io_context(fs::read_dir(&source_dir), "read the directory", &source_dir)?;
            let mut tarballs = tarballs.filter_map(Result::ok).map(|entry| entry.path());
            let is_source = |path: &PathBuf| path.to_string_lossy().contains(".tar") && path.is_file();
            let missing = || unusable(&Source::Package(package.name.clone()), "it holds no usr/src/*.tar.*");
            let tree = unpack_tarball(&tarballs.find(is_source).ok_or_else(missing)?, work, only, progress)?;
            write_context(fs::remove_dir_all(&files), "remove", &files)?;
            write_context(fs::remove_file(&deb), "remove", &deb)?;
            Ok(tree)
        }
    }
}

fn unpack_tarball(path: &Path, work: &Path, only: &[&str], progress: &dyn Progress) -> Result<PathBuf, KernelError> {
    progress.step(&format!("unpacking {}", path.display()));
    let tree = work.join("source");
    write_context(fs::create_dir(&tree), "create the directory", &tree)?;
    let mut command = Command::new("tar");
    command.arg("-xf").arg(path).arg("-C").arg(&tree).arg("--strip-components=1");
    if !only.is_empty() {
        // Below the tarball's one top directory, whatever that is called.
        command.args(["--wildcards", "--no-wildcards-match-slash"]).args(only.iter().map(|path| format!("*/{path}")));
    }
    run(&mut command, "tar -x", |_| ())?;
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_cache::Cache;

    const MAKEFILE: &str = "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 95\nEXTRAVERSION =\nNAME = Baby\n";

    #[test]
    fn reads_the_version_of_a_tree() {
        assert_eq!(version_of(MAKEFILE).unwrap(), "6.12.95");
        assert_eq!(version_of(&MAKEFILE.replace("EXTRAVERSION =", "EXTRAVERSION = -rc1")).unwrap(), "6.12.95-rc1");
        assert_eq!(version_of("all:\n"), None);
    }

    fn hash(dir: &Path) -> Result<String, KernelError> {
        let kernels = Kernels::new(Cache::at(dir.join("cache")));
        Ok(locate(&kernels, &Source::Dir(dir.join("linux")), &())?.hash)
    }

    #[test]
    fn a_changed_tree_is_other_source() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("linux/kernel")).unwrap();
        fs::create_dir_all(dir.path().join("linux/.git")).unwrap();
        fs::write(dir.path().join("linux/Makefile"), MAKEFILE).unwrap();
        let first = hash(dir.path()).unwrap();
        fs::write(dir.path().join("linux/.git/index"), "x").unwrap();
        assert_eq!(hash(dir.path()).unwrap(), first);
        fs::write(dir.path().join("linux/kernel/fork.c"), "x").unwrap();
        assert_ne!(hash(dir.path()).unwrap(), first);
    }

    #[test]
    fn unfit_source_is_refused_in_words() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("linux")).unwrap();
        assert!(hash(dir.path()).unwrap_err().to_string().contains("no kernel Makefile"));
        fs::write(dir.path().join("linux/Makefile"), MAKEFILE).unwrap();
        fs::write(dir.path().join("linux/.config"), "").unwrap();
        assert!(hash(dir.path()).unwrap_err().to_string().contains("make mrproper"));
        let kernels = Kernels::new(Cache::at(dir.path().join("cache")));
        let git = locate(&kernels, &Source::Git("x#v1".into()), &()).err().unwrap().to_string();
        assert!(git.contains("git:x#v1") && git.contains("source:DIR"), "{git}");
    }
}
