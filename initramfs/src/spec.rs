//! What an image is to hold, and building it.

use crate::observed::Observed;
use crate::recipe::{self, Lookup};
use crate::sysroot::Sysroot;
use crate::{Error, archive, layout, pack, trim};
use ktstr_cache::Cache;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The cache's kind of archives.
pub(crate) const IMAGES: &str = "images";
/// The archive's name in its entry.
pub(crate) const IMAGE_FILE: &str = "image.cpio";
const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// One thing to be packed.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Program { host: PathBuf, guest: String },
    File { host: PathBuf, guest: String, mode: u32 },
    Bytes { guest: String, mode: u32, data: Contents },
    Dir { guest: String },
    Symlink { guest: String, target: String },
    Char { guest: String, mode: u32, major: u32, minor: u32 },
}

/// Contents that come from no file.
#[derive(Debug, Clone)]
pub(crate) enum Contents {
    Made(Arc<[u8]>),
    /// Identified by its stamp, so that it need not be read to know that it is the same.
    Stamped(&'static [u8], &'static str),
}

impl Contents {
    pub(crate) fn data(&self) -> &[u8] {
        match self {
            Self::Made(data) => data,
            Self::Stamped(data, _) => data,
        }
    }

    /// What tells these contents from others.
    fn identity(&self) -> &[u8] {
        match self {
            Self::Made(data) => data,
            Self::Stamped(_, stamp) => stamp.as_bytes(),
        }
    }
}

impl PartialEq for Contents {
    fn eq(&self, other: &Self) -> bool {
        self.data() == other.data()
    }
}

impl Eq for Contents {}

/// A list of what an image holds. Guest paths are absolute; the directories above each path are made. Everything belongs
/// to root, and modes are permission bits.
#[derive(Debug, Clone)]
pub struct ImageSpec {
    items: Vec<Item>,
    sysroot: Sysroot,
}

impl Default for ImageSpec {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageSpec {
    /// An empty image, with the running system's libraries to draw from.
    pub fn new() -> Self {
        Self { items: Vec::new(), sysroot: Sysroot::host() }
    }

    /// Takes libraries from another system.
    #[must_use]
    pub fn sysroot(mut self, sysroot: Sysroot) -> Self {
        self.sysroot = sysroot;
        self
    }

    /// Adds an ELF program or a `#!` script, mode 0755, and all that it needs in order to start: loader, shared
    /// libraries, interpreter. Debug information is left out, function names are kept. Where a RUNPATH says `$ORIGIN`,
    /// the guest's loader needs `/proc` to be mounted.
    #[must_use]
    pub fn program(self, host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        self.with(Item::Program { host: host.into(), guest: guest.into() })
    }

    /// Adds a file of the host, byte for byte.
    #[must_use]
    pub fn file(self, host: impl Into<PathBuf>, guest: impl Into<String>, mode: u32) -> Self {
        self.with(Item::File { host: host.into(), guest: guest.into(), mode })
    }

    /// Adds a file with these contents.
    #[must_use]
    pub fn bytes(self, guest: impl Into<String>, mode: u32, data: Vec<u8>) -> Self {
        self.with(Item::Bytes { guest: guest.into(), mode, data: Contents::Made(data.into()) })
    }

    /// Adds a file with these contents, for which `stamp` stands: other contents must have another one. Saves hashing
    /// them each time.
    #[must_use]
    pub fn stamped_bytes(self, guest: impl Into<String>, mode: u32, data: &'static [u8], stamp: &'static str) -> Self {
        self.with(Item::Bytes { guest: guest.into(), mode, data: Contents::Stamped(data, stamp) })
    }

    /// Adds a directory, mode 0755.
    #[must_use]
    pub fn dir(self, guest: impl Into<String>) -> Self {
        self.with(Item::Dir { guest: guest.into() })
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, guest: impl Into<String>, target: impl Into<String>) -> Self {
        self.with(Item::Symlink { guest: guest.into(), target: target.into() })
    }

    /// Adds a character device.
    #[must_use]
    pub fn node(self, guest: impl Into<String>, mode: u32, major: u32, minor: u32) -> Self {
        self.with(Item::Char { guest: guest.into(), mode, major, minor })
    }

    fn with(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    /// The image, from the cache or made. When neither the spec nor any file or place that was looked at has changed
    /// since it was made, this costs a `stat` for each of them; contents are not read.
    ///
    /// # Errors
    /// Each variant of [`Error`] says which input it is about.
    pub fn build(&self, cache: &Cache) -> Result<Image, Error> {
        let (key, looked) = self.key();
        let key = match recipe::lookup(cache, key, &looked)? {
            Lookup::Hit(image) => return Ok(image),
            Lookup::Miss(key) => key,
        };
        let mut observed = Observed::default();
        let layout = layout::plan(&self.items, &self.sysroot, &mut observed)?;
        let image = store(cache, &pack::members(&layout)?)?;
        recipe::record(cache, &key, &image, &observed)?;
        trim::trim(cache, &image.id);
        Ok(image)
    }

    /// Identifies the spec and the present state of the files that it names, and is that state.
    fn key(&self) -> (String, Observed) {
        let mut observed = Observed::default();
        let mut hasher = recipe::hasher();
        let mut feed = |field: &[u8]| {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        };
        feed(self.sysroot.root().as_os_str().as_bytes());
        for dir in self.sysroot.library_dirs() {
            feed(dir.as_os_str().as_bytes());
        }
        for item in &self.items {
            match item {
                Item::Program { host, .. } | Item::File { host, .. } => {
                    observed.look(host);
                    feed(format!("{item:?}").as_bytes());
                }
                Item::Bytes { guest, mode, data } => {
                    let kind = if matches!(data, Contents::Made(_)) { "bytes" } else { "stamped" };
                    feed(format!("{kind} {guest:?} {mode}").as_bytes());
                    feed(data.identity());
                }
                Item::Dir { .. } | Item::Symlink { .. } | Item::Char { .. } => feed(format!("{item:?}").as_bytes()),
            }
        }
        feed(&observed.encode());
        (recipe::hex(&hasher), observed)
    }
}

/// An archive in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The archive: uncompressed newc.
    pub path: PathBuf,
    /// BLAKE3 of the archive's bytes, in hex: the same on every machine for the same contents.
    pub id: String,
    /// The archive's length.
    pub len_bytes: u64,
}

impl Image {
    /// The image of this id and length, if the cache has it whole; it counts as used.
    pub(crate) fn used(cache: &Cache, id: &str, len_bytes: u64) -> Result<Option<Self>, Error> {
        let path = cache.entry_path(IMAGES, id)?.join(IMAGE_FILE);
        let Some(meta) = std::fs::metadata(&path).ok().filter(|meta| meta.len() == len_bytes) else { return Ok(None) };
        trim::mark_used(&path, &meta);
        Ok(Some(Self { path, id: id.to_owned(), len_bytes }))
    }
}

fn store(cache: &Cache, members: &[archive::Member]) -> Result<Image, Error> {
    let mut counted = Counted { hasher: blake3::Hasher::new(), len_bytes: 0 };
    archive::write(members, &mut counted).map_err(|source| write_error(cache.root(), source))?;
    let (id, len_bytes) = (recipe::hex(&counted.hasher), counted.len_bytes);
    if let Some(image) = Image::used(cache, &id, len_bytes)? {
        return Ok(image);
    }
    if cache.get(IMAGES, &id)?.is_some() {
        // It is there but not whole: someone or something cut it.
        trim::discard(cache, IMAGES, &id)?;
    }
    let dir = cache.get_or_make(IMAGES, &id, |dir| write_file(&dir.join(IMAGE_FILE), members))?;
    Ok(Image { path: dir.join(IMAGE_FILE), id, len_bytes })
}

fn write_file(path: &Path, members: &[archive::Member]) -> Result<(), Error> {
    let error = |source| write_error(path, source);
    let file = File::create(path).map_err(error)?;
    let out = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
    archive::write(members, out).and_then(|mut out| out.flush()).map_err(error)
}

fn write_error(path: &Path, source: std::io::Error) -> Error {
    Error::Write { path: path.to_owned(), source }
}

/// Takes an archive's hash and length without keeping it.
struct Counted {
    hasher: blake3::Hasher,
    len_bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        self.hasher.update(data);
        self.len_bytes += data.len() as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
