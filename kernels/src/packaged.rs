//! Specs that the distribution's archive answers: `latest`, versions, `deb:`.

use crate::answers::{Answer, FRESH_FOR, Stamp};
use crate::apt::{self, Apt, Index, Package};
use crate::deb;
use crate::error::{Error, io_context, write_context};
use crate::hash;
use crate::install::{Known, install};
use crate::kernel::{Kernel, Origin};
use crate::kernels::{Kernels, entry_id};
use crate::progress::Progress;
use crate::spec::Spec;
use crate::version::{Version, compare_debian};
use std::cmp::Reverse;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many kernels `latest` fetches before it gives up.
const TRIES: usize = 8;
/// An index older than this is read anew before a spec is said to mean nothing.
const SEARCHED_IN_VAIN_AFTER: Duration = Duration::from_secs(3600);
/// How many near matches are named.
const NEAR: usize = 5;

impl Kernels {
    /// The kernel a spec means by the archive; without the archive, by what is cached.
    pub(crate) fn packaged(&self, spec: &Spec, progress: &dyn Progress) -> Result<Kernel, Error> {
        let key = spec.to_string();
        if let Some(kernel) = self.answered(&key).or_else(|| self.exactly(spec)) {
            return Ok(kernel);
        }
        match self.ask_archive(spec, &key, progress) {
            Err(Error::Apt(error)) => match self.cached_instead(spec, &key)? {
                Some(kernel) => {
                    progress.warn(&format!("{error}; using the cached {} for {key}", kernel.id));
                    Ok(kernel)
                }
                None => Err(error.into()),
            },
            other => other,
        }
    }

    /// A cached package of exactly the version asked for: that answer does not age.
    fn exactly(&self, spec: &Spec) -> Option<Kernel> {
        let exact = matches!(spec, Spec::Version(Version { patch: Some(_), .. }));
        exact.then(|| self.newest_cached(spec).ok().flatten()).flatten()
    }

    /// The best that is cached when the archive cannot be asked: an old answer, else the newest that fits.
    fn cached_instead(&self, spec: &Spec, key: &str) -> Result<Option<Kernel>, Error> {
        if let Some(answer) = Answer::read(&self.answers_dir(), key)
            && let Some(kernel) = self.get(&answer.id)?
        {
            return Ok(Some(kernel));
        }
        self.newest_cached(spec)
    }

    fn newest_cached(&self, spec: &Spec) -> Result<Option<Kernel>, Error> {
        let fits = |kernel: &Kernel| match spec {
            Spec::Latest => kernel.meta.is_sound(),
            Spec::Version(wanted) => kernel.meta.kernel_version().is_some_and(|version| wanted.covers(&version)),
            _ => false,
        };
        let packaged = |kernel: &Kernel| {
            matches!(kernel.meta.origin, Origin::Packages(_)) && kernel.meta.release.contains("-cloud-")
        };
        Ok(self.list()?.into_iter().rfind(|kernel| packaged(kernel) && fits(kernel)))
    }

    fn ask_archive(&self, spec: &Spec, key: &str, progress: &dyn Progress) -> Result<Kernel, Error> {
        let apt = Apt::open(&self.cache)?;
        // Whoever held the lock may have answered the same question.
        if let Some(kernel) = self.answered(key) {
            return Ok(kernel);
        }
        let index = apt.refresh(FRESH_FOR, progress)?;
        if let Index::Unreachable(said) = index {
            // What is cached is at hand; whether the archive still has what the old index says is doubtful.
            return match self.cached_instead(spec, key)? {
                Some(_) => Err(apt::Error::Offline { said }.into()),
                None => self.search(&apt, spec, progress),
            };
        }
        let mut found = self.search(&apt, spec, progress);
        // The index may be older than a package's removal, or than the package sought.
        let renew_after = match &found {
            Err(Error::NotFound { .. }) => Some(SEARCHED_IN_VAIN_AFTER),
            Err(Error::Apt(apt::Error::Failed { .. })) => Some(Duration::ZERO),
            _ => None,
        };
        if let (Index::Fresh, Some(at_most)) = (index, renew_after)
            && apt.refresh(at_most, progress)? == Index::Renewed
        {
            found = self.search(&apt, spec, progress);
        }
        let kernel = found?;
        self.remember(key, &kernel, Vec::new())?;
        Ok(kernel)
    }

    fn search(&self, apt: &Apt, spec: &Spec, progress: &dyn Progress) -> Result<Kernel, Error> {
        match spec {
            Spec::Deb(name) => {
                let mut found = apt.show(&[name])?;
                found.sort_by(apt::by_version);
                match found.pop() {
                    Some(package) => self.fetch(apt, &package, spec, progress),
                    None => Err(not_a_package(apt, name)?),
                }
            }
            Spec::Version(wanted) => {
                let images = cloud_images(apt)?;
                let covered = |package: &&Package| package.kernel_version().is_some_and(|found| wanted.covers(&found));
                match images.iter().rfind(covered) {
                    Some(package) => self.fetch(apt, package, spec, progress),
                    None => Err(no_such_version(wanted, &images)),
                }
            }
            _ => self.newest_sound(apt, spec, progress),
        }
    }

    fn newest_sound(&self, apt: &Apt, spec: &Spec, progress: &dyn Progress) -> Result<Kernel, Error> {
        let mut tried = Vec::new();
        for package in cloud_images(apt)?.iter().rev().take(TRIES) {
            let kernel = self.fetch(apt, package, spec, progress)?;
            if kernel.meta.is_sound() {
                return Ok(kernel);
            }
            let fault = kernel.meta.btf.complaint().unwrap_or_else(|| "it lacks CONFIG_SCHED_CLASS_EXT".to_owned());
            progress.warn(&format!("latest is not {}: {fault}", kernel.meta.release));
            tried.push(format!("{} ({fault})", kernel.meta.release));
        }
        Err(Error::NoneSound { tried })
    }

    /// The kernel of a package, from the cache or the archive.
    fn fetch(&self, apt: &Apt, package: &Package, spec: &Spec, progress: &dyn Progress) -> Result<Kernel, Error> {
        let carriers = apt::carriers(package, &mut |name| apt.show(&[name]))?;
        let names = || carriers.iter().map(|carrier| carrier.name.clone()).collect::<Vec<_>>().join(", ");
        let release = carriers.first().and_then(|image| apt::kernel_release(&image.name));
        let release = release.ok_or_else(|| Error::NotAKernelPackage { packages: names() })?;
        let hashes: String = carriers.iter().map(|carrier| format!("{}\n", carrier.sha256)).collect();
        let source_hash = hash::of_bytes(hashes.as_bytes());
        let id = entry_id(release, &source_hash);
        self.entry(&id, |dir| {
            let debs = dir.join("debs");
            write_context(fs::create_dir(&debs), "create the directory", &debs)?;
            let files = carriers.iter().map(|carrier| apt.download(carrier, &debs, progress));
            let files = files.collect::<Result<Vec<PathBuf>, _>>()?;
            let origin = carriers.iter().map(|carrier| (carrier.name.clone(), carrier.version.clone())).collect();
            progress.step(&format!("unpacking {release}"));
            unpack(dir, &files, &spec.to_string(), Origin::Packages(origin), &source_hash)?;
            write_context(fs::remove_dir_all(&debs), "remove the packages in", &debs)
        })
    }

    /// The newest package of the distribution's suites, of those whose name starts with `prefix` and passes `accept`. For
    /// what [`Kernels::resolve`] is not made for; [`Kernels::download`] fetches it.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, or [`Error::Apt`] when the archive cannot be asked.
    pub fn newest_package(
        &self,
        prefix: &str,
        accept: impl Fn(&str) -> bool,
        progress: &dyn Progress,
    ) -> Result<Package, Error> {
        let apt = Apt::open(&self.cache)?;
        apt.refresh(FRESH_FOR, progress)?;
        let names = apt.names(prefix)?;
        let accepted: Vec<&str> = names.iter().map(String::as_str).filter(|name| accept(name)).collect();
        let newest = apt.show(&accepted)?.into_iter().max_by(apt::by_version);
        newest.ok_or_else(|| Error::NotFound {
            spec: format!("{prefix}*"),
            looked: format!("a package {prefix}* of the wanted flavour in the distribution's suites"),
            near: names.into_iter().take(NEAR).collect(),
        })
    }

    /// Fetches a package into the directory `into`; returns the path of the file.
    ///
    /// # Errors
    /// [`Error::Apt`].
    pub fn download(&self, package: &Package, into: &Path, progress: &dyn Progress) -> Result<PathBuf, Error> {
        Ok(Apt::open(&self.cache)?.download(package, into, progress)?)
    }

    /// `deb:FILE`; where the configuration is in a package of its own, that is looked for beside it.
    pub(crate) fn deb_file(&self, path: &Path, progress: &dyn Progress) -> Result<Kernel, Error> {
        let spec = format!("deb:{}", path.display());
        let path = io_context(fs::canonicalize(path), "find the package", path)?;
        let key = format!("deb:{}", path.display());
        if let Some(kernel) = self.answered(&key) {
            return Ok(kernel);
        }
        progress.step(&format!("unpacking {}", path.display()));
        let (name, version) = (deb::field(&path, "Package")?, deb::field(&path, "Version")?);
        let release = apt::kernel_release(&name).unwrap_or(&name);
        let mut files = vec![path.clone()];
        files.extend(base_beside(&path, release, &version));
        let stamps = files.iter().filter_map(|file| Stamp::of(file)).collect();
        let mut hashes = String::new();
        for file in &files {
            let mut reader = io_context(File::open(file), "open", file)?;
            hashes.push_str(&io_context(hash::of_reader(&mut reader), "read", file)?);
        }
        let source_hash = hash::of_bytes(hashes.as_bytes());
        let id = entry_id(release, &source_hash);
        let origin = Origin::Packages(vec![(name.clone(), version)]);
        let kernel = self.entry(&id, |dir| unpack(dir, &files, &spec, origin.clone(), &source_hash))?;
        self.remember(&key, &kernel, stamps)?;
        Ok(kernel)
    }
}

/// All versions of all cloud kernels, oldest first.
fn cloud_images(apt: &Apt) -> Result<Vec<Package>, Error> {
    let names = apt.names("linux-image-")?;
    let cloud: Vec<&str> = names.iter().map(String::as_str).filter(|name| apt::is_cloud_image(name)).collect();
    let mut images = apt.show(&cloud)?;
    images.sort_by(apt::by_version);
    Ok(images)
}

fn no_such_version(wanted: &Version, images: &[Package]) -> Error {
    let mut near: Vec<Version> = images.iter().filter_map(Package::kernel_version).collect();
    near.sort_by_key(|version| (wanted.distance(version), Reverse(*version)));
    near.dedup();
    near.truncate(NEAR);
    Error::NotFound {
        spec: wanted.to_string(),
        looked: format!("a linux-image-{wanted}*-cloud-amd64 package in the distribution's suites"),
        near: near.iter().map(Version::to_string).collect(),
    }
}

fn not_a_package(apt: &Apt, name: &str) -> Result<Error, Error> {
    let mut near = apt.names("linux-image-")?;
    let common = |other: &str| name.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    near.sort_by(|a, b| common(b).cmp(&common(a)).then_with(|| compare_debian(b, a)));
    near.truncate(NEAR);
    Ok(Error::NotFound {
        spec: format!("deb:{name}"),
        looked: format!("a package {name} in the distribution's suites"),
        near,
    })
}

/// The `linux-base-VERSION` package that a `linux-binary-VERSION` one needs, in the same directory.
fn base_beside(package: &Path, release: &str, version: &str) -> Option<PathBuf> {
    let dir = package.parent()?;
    let starts = format!("linux-base-{release}_{}_", version.replace(':', "%3a"));
    let files = fs::read_dir(dir).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    files.into_iter().find(|path| path.file_name().unwrap_or_default().to_string_lossy().starts_with(&starts))
}

/// Fills an entry from package files.
fn unpack(dir: &Path, files: &[PathBuf], spec: &str, origin: Origin, source_hash: &str) -> Result<(), Error> {
    let (mut image, mut config) = (None, None);
    for file in files {
        let [found_image, found_config] = deb::members(file, [&is_image, &is_config])?;
        image = image.or(found_image);
        config = config.or(found_config);
    }
    let packages = || files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
    let (path, image) = image.ok_or_else(|| Error::NotAKernelPackage { packages: packages() })?;
    let config = config.map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
    let what = format!("{} of {}", path.display(), packages());
    let source_hash = source_hash.to_owned();
    install(dir, &image, config, Known { spec, what: &what, origin, source_hash, tools: Default::default() })
}

/// `boot/vmlinuz-V` or `usr/lib/modules/V/vmlinuz`.
fn is_image(path: &Path) -> bool {
    is_kernel_file(path, "vmlinuz")
}

/// `boot/config-V` or `usr/lib/modules/V/config`.
fn is_config(path: &Path) -> bool {
    is_kernel_file(path, "config")
}

fn is_kernel_file(path: &Path, stem: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let parent = path.parent().unwrap_or(Path::new(""));
    let in_boot = parent.ends_with("boot") && name.starts_with(&format!("{stem}-"));
    let in_modules = parent.parent().is_some_and(|modules| modules.ends_with("lib/modules")) && name == stem;
    in_boot || in_modules
}

#[cfg(test)]
#[path = "packaged_tests.rs"]
mod tests;
