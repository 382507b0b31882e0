//! A directory cache that several processes may use at once and any of them may die in.
//!
//! An entry is a directory `<root>/<kind>/<id>`. It is made in a hidden directory beside it and renamed into place, so
//! an entry that can be seen is whole. A lock file serialises makers of one entry; the lock is an advisory `flock(2)`
//! and dies with its process. What a killed maker leaves behind is removed by the next maker of that kind.

mod interrupt;
mod lock;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub use lock::Lock;

/// Why the cache could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No variable says where the cache belongs.
    #[error("cannot tell where the cache belongs: set KTSTR_CACHE_DIR, XDG_CACHE_HOME or HOME")]
    NoHome,
    /// A file operation failed.
    #[error("cannot {doing} {}{}", path.display(), hint(source))]
    Io {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// An id that would leave the cache's directory, or hide in it.
    #[error("{id:?} cannot name a cache entry: use letters, digits and any of `.+-_~`, not starting with a dot")]
    BadId {
        /// The refused id.
        id: String,
    },
}

/// What to do about an error met while writing below the cache, as words to append to a message: `: the disk is full; …`.
/// Empty when there is no advice.
pub fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ": the disk is full; free some space or point KTSTR_CACHE_DIR at another file system"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ": point KTSTR_CACHE_DIR at a directory that this user may write"
        }
        _ => "",
    }
}

/// Names the failing operation of an [`io::Result`].
pub(crate) fn io_context<T>(result: io::Result<T>, doing: &'static str, path: &Path) -> Result<T, Error> {
    result.map_err(|source| Error::Io { doing, path: path.to_owned(), source })
}

/// The cache's root: `KTSTR_CACHE_DIR`, else `XDG_CACHE_HOME/ktstr`, else `HOME/.cache/ktstr`.
///
/// # Errors
/// [`Error::NoHome`] when none of the three is set.
pub fn default_root() -> Result<PathBuf, Error> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(root) = var("KTSTR_CACHE_DIR") {
        return Ok(root);
    }
    if let Some(xdg) = var("XDG_CACHE_HOME") {
        return Ok(xdg.join("ktstr"));
    }
    var("HOME").map(|home| home.join(".cache/ktstr")).ok_or(Error::NoHome)
}

/// A cache at one root directory.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache at `root`, which is created when an entry is first made.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache at [`default_root`].
    ///
    /// # Errors
    /// As [`default_root`].
    pub fn open_default() -> Result<Self, Error> {
        default_root().map(Self::at)
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of entry `id`, if it has been made.
    ///
    /// # Errors
    /// [`Error::BadId`].
    pub fn get(&self, kind: &str, id: &str) -> Result<Option<PathBuf>, Error> {
        let dir = self.entry_path(kind, id)?;
        Ok(dir.is_dir().then_some(dir))
    }

    /// The directory of entry `id`; when there is none, `make` fills a fresh directory that becomes the entry.
    ///
    /// Other makers of the same entry wait meanwhile, in this process and in others, and then find it made. A failing
    /// `make` leaves nothing behind.
    ///
    /// # Errors
    /// The cache's own errors, converted, and whatever `make` returns.
    pub fn get_or_make<E: From<Error>>(
        &self,
        kind: &str,
        id: &str,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        if let Some(found) = self.get(kind, id)? {
            return Ok(found);
        }
        let entry = self.entry_path(kind, id)?;
        let parent = self.root.join(kind);
        io_context(fs::create_dir_all(&parent), "create the directory", &parent)?;
        let lock = Lock::acquire(&parent.join(lock_name(id)))?;
        if entry.is_dir() {
            return Ok(entry);
        }
        sweep(&parent, id);
        let scratch = Scratch::create(parent.join(scratch_name(id)))?;
        make(&scratch.path)?;
        io_context(fs::rename(&scratch.path, &entry), "put the finished entry in place at", &entry)?;
        drop(scratch);
        drop(lock);
        Ok(entry)
    }

    /// The ids of the entries of one kind, sorted.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory exists but cannot be read.
    pub fn list(&self, kind: &str) -> Result<Vec<String>, Error> {
        let dir = self.root.join(kind);
        let read = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => io_context(other, "read the directory", &dir)?,
        };
        let mut ids: Vec<String> = read
            .filter_map(Result::ok)
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.'))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Removes an entry. Readers that hold its files open keep them.
    ///
    /// # Errors
    /// [`Error::BadId`], or [`Error::Io`] when something could not be removed.
    pub fn remove(&self, kind: &str, id: &str) -> Result<(), Error> {
        let entry = self.entry_path(kind, id)?;
        let parent = self.root.join(kind);
        let _lock = Lock::acquire(&parent.join(lock_name(id)))?;
        let hidden = Scratch::at(parent.join(scratch_name(id)));
        // A rename first: a reader never sees a half-removed entry.
        io_context(fs::rename(&entry, &hidden.path), "remove the entry", &entry)?;
        io_context(fs::remove_dir_all(&hidden.path), "remove the entry", &hidden.path)
    }

    /// Where entry `id` is once it has been made.
    ///
    /// # Errors
    /// [`Error::BadId`].
    pub fn entry_path(&self, kind: &str, id: &str) -> Result<PathBuf, Error> {
        let ok = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-_~".contains(&byte))
        };
        match [kind, id].into_iter().find(|text| !ok(text)) {
            Some(bad) => Err(Error::BadId { id: bad.to_owned() }),
            None => Ok(self.root.join(kind).join(id)),
        }
    }
}

fn lock_name(id: &str) -> String {
    format!(".{id}.lock")
}

fn scratch_name(id: &str) -> String {
    format!(".{id}.{}.tmp", std::process::id())
}

/// Removes what dead makers left: scratch directories whose entry nobody holds the lock of. `held` is the id whose lock
/// the caller holds. Best effort: a leftover that cannot be removed is met again next time.
fn sweep(parent: &Path, held: &str) {
    let Ok(read) = fs::read_dir(parent) else { return };
    for entry in read.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp")) else { continue };
        let Some((id, _pid)) = stem.rsplit_once('.') else { continue };
        let _guard = if id == held {
            None
        } else {
            match Lock::try_acquire(&parent.join(lock_name(id))) {
                Ok(Some(lock)) => Some(lock),
                _ => continue,
            }
        };
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// A directory that is gone when this value is, or when the process is interrupted.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// The directory need not be there yet.
    fn at(path: PathBuf) -> Self {
        interrupt::remove_on_signal(&path);
        Self { path }
    }

    fn create(path: PathBuf) -> Result<Self, Error> {
        let scratch = Self::at(path);
        io_context(fs::create_dir(&scratch.path), "create the directory", &scratch.path)?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        interrupt::forget(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("root"));
        (dir, cache)
    }

    fn names(dir: &Path) -> Vec<String> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn makes_an_entry_once_among_racing_threads() {
        let (_dir, cache) = cache();
        let made = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let path = cache
                        .get_or_make::<Error>("kernels", "7.3", |dir| {
                            made.fetch_add(1, Ordering::Relaxed);
                            std::thread::sleep(std::time::Duration::from_millis(30));
                            fs::write(dir.join("vmlinux"), "x").unwrap();
                            Ok(())
                        })
                        .unwrap();
                    assert_eq!(fs::read(path.join("vmlinux")).unwrap(), b"x");
                });
            }
        });
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(names(&cache.root().join("kernels")), ["7.3"]);
    }

    #[test]
    fn a_failed_maker_leaves_nothing() {
        let (_dir, cache) = cache();
        let error = cache.get_or_make("images", "a", |_| Err(Error::BadId { id: "made to fail".into() })).unwrap_err();
        assert!(error.to_string().contains("made to fail"));
        assert!(names(&cache.root().join("images")).is_empty());
    }

    #[test]
    fn leftovers_of_the_dead_are_swept() {
        let (_dir, cache) = cache();
        let kind = cache.root().join("images");
        fs::create_dir_all(kind.join(".old.99999.tmp/deep")).unwrap();
        cache.get_or_make::<Error>("images", "new", |_| Ok(())).unwrap();
        assert_eq!(names(&kind), ["new"]);
    }

    #[test]
    fn refuses_ids_that_escape() {
        let (_dir, cache) = cache();
        for bad in ["", "..", "a/b", ".hidden", "a b"] {
            assert!(matches!(cache.get("images", bad), Err(Error::BadId { .. })), "{bad:?}");
        }
    }

    #[test]
    fn lists_and_removes() {
        let (_dir, cache) = cache();
        assert!(cache.list("kernels").unwrap().is_empty());
        for id in ["b", "a"] {
            cache.get_or_make::<Error>("kernels", id, |_| Ok(())).unwrap();
        }
        cache.remove("kernels", "b").unwrap();
        assert_eq!(cache.list("kernels").unwrap(), ["a"]);
    }
}
