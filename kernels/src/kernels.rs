//! The cache of kernels, and the way from a spec to an entry of it.

use crate::answers::{self, Answer, Stamp};
use crate::apt;
use crate::compile;
use crate::error::{Error, io_context};
use crate::extract::{self, elf, source::Bytes};
use crate::hash::{self, Hasher};
use crate::install::{Known, install};
use crate::kernel::{Kernel, META_VERSION, Origin};
use crate::local::{self, Found};
use crate::progress::Progress;
use crate::spec::{Source, Spec};
use crate::version::compare_debian;
use ktstr_cache::Cache;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

/// The kind of cache entry that kernels are.
const KIND: &str = "kernels";

/// Kernels in a cache, and how to get more.
#[derive(Debug, Clone)]
pub struct Kernels {
    pub(crate) cache: Cache,
}

/// What [`Kernels::clean`] removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clean<'a> {
    /// One kernel, by its id or the beginning of it that no other shares.
    Id(&'a str),
    /// All kernels, and the package index.
    All,
}

impl Kernels {
    /// The kernels in `cache`.
    pub fn new(cache: Cache) -> Self {
        Self { cache }
    }

    /// The kernel that a spec means, fetched or read into the cache when it is not there yet. What is doubtful about it
    /// is told to `progress` each time.
    ///
    /// # Errors
    /// [`Error::NotFound`] with near matches when nothing is what the spec says, and the errors on the way.
    pub fn resolve(&self, spec: &Spec, progress: &dyn Progress) -> Result<Kernel, Error> {
        let kernel = match spec {
            Spec::Source(_) => return Err(Error::NeedsBuild { spec: spec.to_string() }),
            Spec::Host => self.host(progress)?,
            Spec::Path(path) => self.path(path, progress)?,
            Spec::Deb(name) if name.contains('/') => self.deb_file(Path::new(name), progress)?,
            Spec::Latest | Spec::Version(_) | Spec::Deb(_) => self.packaged(spec, progress)?,
        };
        for warning in &kernel.meta.warnings {
            progress.warn(&format!("kernel {}: {warning}", kernel.meta.release));
        }
        Ok(kernel)
    }

    /// Builds a kernel from source, with the options of [`FRAGMENT`](crate::FRAGMENT), into the cache. The same source,
    /// fragment and tools again cost nothing.
    ///
    /// # Errors
    /// [`Error::Build`], for instance with the options that were lost or the packages that are missing.
    pub fn build(&self, source: &Source, progress: &dyn Progress) -> Result<Kernel, Error> {
        compile::build(self, source, progress)
    }

    /// All kernels in the cache, oldest version first.
    ///
    /// # Errors
    /// [`Error::Cache`] when the cache cannot be read.
    pub fn list(&self) -> Result<Vec<Kernel>, Error> {
        let ids = self.cache.list(KIND)?;
        // An entry that cannot be read is replaced when it is next asked for; it is no kernel meanwhile.
        let mut kernels: Vec<Kernel> = ids.iter().filter_map(|id| self.get(id).ok().flatten()).collect();
        kernels.sort_by(|a, b| compare_debian(&a.meta.release, &b.meta.release));
        Ok(kernels)
    }

    /// Removes kernels, and what was built for them; returns the ids of those that are gone.
    ///
    /// # Errors
    /// [`Error::NotCached`] for an id that no kernel, or more than one, has.
    pub fn clean(&self, what: Clean<'_>) -> Result<Vec<String>, Error> {
        let there = self.cache.list(KIND)?;
        let doomed: Vec<String> = match what {
            Clean::All => there,
            Clean::Id(id) => {
                let exact = there.iter().find(|known| *known == id);
                let mut similar = there.iter().filter(|known| known.starts_with(id));
                match (exact, similar.next(), similar.next()) {
                    (Some(one), ..) | (None, Some(one), None) => vec![one.clone()],
                    _ => return Err(Error::NotCached { id: id.to_owned(), there }),
                }
            }
        };
        for id in &doomed {
            self.cache.remove(KIND, id)?;
            self.remove_sched_ext(Some(id))?;
        }
        if what == Clean::All {
            self.remove_sched_ext(None)?;
            answers::forget_all(&self.answers_dir());
            apt::remove_state(&self.cache)?;
        }
        Ok(doomed)
    }

    pub(crate) fn answers_dir(&self) -> PathBuf {
        self.cache.root().join(KIND)
    }

    /// The entry `id`, if it is there in this format.
    pub(crate) fn get(&self, id: &str) -> Result<Option<Kernel>, Error> {
        match self.cache.get(KIND, id)? {
            Some(dir) => Kernel::load(id, &dir),
            None => Ok(None),
        }
    }

    /// The entry `id`; `make` fills its directory when there is none.
    pub(crate) fn entry(&self, id: &str, make: impl Fn(&Path) -> Result<(), Error>) -> Result<Kernel, Error> {
        for _ in 0..2 {
            let dir = self.cache.get_or_make(KIND, id, &make)?;
            if let Ok(Some(kernel)) = Kernel::load(id, &dir) {
                return Ok(kernel);
            }
            // Damaged, or of another format; when another process was quicker to remove it, so much the better.
            let _ = self.cache.remove(KIND, id);
        }
        Err(Error::Contested { id: id.to_owned() })
    }

    /// The remembered answer to a spec, if it still holds and its entry is there.
    pub(crate) fn answered(&self, spec: &str) -> Option<Kernel> {
        let answer = Answer::read(&self.answers_dir(), spec).filter(Answer::holds)?;
        self.get(&answer.id).ok().flatten()
    }

    pub(crate) fn remember(&self, spec: &str, kernel: &Kernel, stamps: Vec<Stamp>) -> Result<(), Error> {
        Answer::new(&kernel.id, stamps).write(&self.answers_dir(), spec)
    }

    fn host(&self, progress: &dyn Progress) -> Result<Kernel, Error> {
        let found = local::of_host(Path::new("/"), &local::host_release());
        let found = found.map_err(|looked| Error::NothingThere { spec: "host".to_owned(), looked })?;
        self.found("host", &found, progress)
    }

    fn path(&self, path: &Path, progress: &dyn Progress) -> Result<Kernel, Error> {
        let spec = format!("path:{}", path.display());
        let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Some(kernel) = self.own_entry(&whole) {
            return Ok(kernel);
        }
        let found = local::at_path(&whole).map_err(|looked| Error::NothingThere { spec: spec.clone(), looked })?;
        self.found(&spec, &found, progress)
    }

    /// A path that is an entry of this very cache, such as a build's result.
    fn own_entry(&self, path: &Path) -> Option<Kernel> {
        let parent = fs::canonicalize(self.answers_dir()).ok()?;
        let id = path.strip_prefix(parent).ok()?.components().next()?.as_os_str().to_str()?;
        self.get(id).ok().flatten()
    }

    /// Brings files of this machine into the cache; unchanged files are not read a second time.
    fn found(&self, spec: &str, found: &Found, progress: &dyn Progress) -> Result<Kernel, Error> {
        let key = format!("path:{}", found.image.display());
        let stamps =
            || [Some(&found.image), found.config.as_ref()].into_iter().flatten().filter_map(|path| Stamp::of(path));
        let stamps: Vec<Stamp> = stamps().collect();
        if let Some(kernel) = self.answered(&key) {
            return Ok(kernel);
        }
        progress.step(&format!("reading the kernel {}", found.image.display()));
        let what = found.image.display().to_string();
        let image = io_context(File::open(&found.image), "open", &found.image)?;
        let config =
            found.config.as_ref().map(|path| io_context(fs::read_to_string(path), "read", path)).transpose()?;
        let image_error = |source| Error::Image { what: what.clone(), source };
        let release = extract::image_release(&image).map_err(image_error)?;
        let source_hash = source_hash(&image, config.as_deref()).map_err(image_error)?;
        let id = entry_id(release.as_deref().unwrap_or("kernel"), &source_hash);
        let kernel = self.entry(&id, |dir| {
            let origin = Origin::Path(found.image.clone());
            let known =
                Known { spec, what: &what, origin, source_hash: source_hash.clone(), tools: Default::default() };
            install(dir, &image, config.clone(), known)
        })?;
        self.remember(&key, &kernel, stamps)?;
        Ok(kernel)
    }
}

/// The hash of what will enter the cache: the image, without DWARF where it is an ELF file, and the configuration.
fn source_hash(image: &File, config: Option<&str>) -> Result<String, extract::Error> {
    let mut hasher = Hasher::new();
    let start = image.range(0, image.size()?.min(64))?;
    if elf::is_elf(&start) {
        elf::Elf::parse(image)?.write_without_debug(&mut hasher)?;
    } else {
        let mut reader = image;
        reader.rewind()?;
        std::io::copy(&mut reader, &mut hasher)?;
    }
    hasher.write_all(config.unwrap_or_default().as_bytes())?;
    Ok(hasher.finish())
}

/// The id of an entry: readable, and another one where the source or the form of an entry is another. So programs of
/// different versions can share a cache.
pub(crate) fn entry_id(name: &str, source_hash: &str) -> String {
    let hash = hash::of_bytes(format!("{META_VERSION} {source_hash}").as_bytes());
    format!("{}-{}", id_part(name), hash::short(&hash))
}

/// Text as it may stand in an entry's id.
fn id_part(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".+-_~".contains(c);
    let kept: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    kept.trim_start_matches('.').to_owned()
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
