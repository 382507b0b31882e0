//! What was seen of the file system while an image was planned: each path looked at, and what it was.
//!
//! Planning is a function of the spec and of these observations. As long as each path still looks the same, present or
//! absent, the plan and the contents are still the same, and nothing needs to be opened to know it.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Which file a path names and how recent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size_bytes: u64,
    pub(crate) mtime_ns: i128,
}

impl From<&Metadata> for Stat {
    fn from(meta: &Metadata) -> Self {
        let mtime_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        Self { dev: meta.dev(), ino: meta.ino(), size_bytes: meta.len(), mtime_ns }
    }
}

/// Paths looked at; `None` is a path that named nothing that could be reached.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    seen: BTreeMap<PathBuf, Option<Stat>>,
}

impl Observed {
    /// Looks at a path, following links as `open` would, and remembers what it saw. A second look at the same path
    /// answers from memory, so that one plan sees one state of the world.
    pub(crate) fn look(&mut self, path: &Path) -> Option<Stat> {
        if let Some(seen) = self.seen.get(path) {
            return *seen;
        }
        let stat = look(path);
        self.seen.insert(path.to_owned(), stat);
        stat
    }

    /// Whether each path still looks the same; `known` has looked at some of them just now.
    pub(crate) fn holds(&self, known: &Self) -> bool {
        let now = |path: &PathBuf| known.seen.get(path).copied().unwrap_or_else(|| look(path));
        self.seen.iter().all(|(path, stat)| now(path) == *stat)
    }

    /// The same paths, as they are now.
    pub(crate) fn refreshed(&self) -> Self {
        Self { seen: self.seen.keys().map(|path| (path.clone(), look(path))).collect() }
    }

    /// The latest modification among the files seen, in nanoseconds since the epoch.
    pub(crate) fn newest_ns(&self) -> i128 {
        self.seen.values().flatten().map(|stat| stat.mtime_ns).max().unwrap_or(0)
    }

    /// One line a path, each ended by a zero byte: a path may hold any other.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (path, stat) in &self.seen {
            let head = match stat {
                Some(Stat { dev, ino, size_bytes, mtime_ns }) => format!("{dev} {ino} {size_bytes} {mtime_ns} "),
                None => "- - - - ".to_owned(),
            };
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(path.as_os_str().as_bytes());
            out.push(0);
        }
        out
    }

    /// The inverse of [`Observed::encode`]; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut seen = BTreeMap::new();
        let body = if bytes.is_empty() { return Some(Self::default()) } else { bytes.strip_suffix(&[0])? };
        for line in body.split(|byte| *byte == 0) {
            let mut fields = line.splitn(5, |byte| *byte == b' ');
            let mut word = || std::str::from_utf8(fields.next()?).ok();
            let (dev, ino, size, mtime) = (word()?, word()?, word()?, word()?);
            let stat = match dev {
                "-" => None,
                _ => Some(Stat {
                    dev: dev.parse().ok()?,
                    ino: ino.parse().ok()?,
                    size_bytes: size.parse().ok()?,
                    mtime_ns: mtime.parse().ok()?,
                }),
            };
            seen.insert(PathBuf::from(std::ffi::OsStr::from_bytes(fields.next()?)), stat);
        }
        Some(Self { seen })
    }
}

fn look(path: &Path) -> Option<Stat> {
    fs::metadata(path).ok().as_ref().map(Stat::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_odd_names_and_absence() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("a b\nc");
        fs::write(&odd, "x").unwrap();
        let mut observed = Observed::default();
        assert_eq!(observed.look(&odd).unwrap().size_bytes, 1);
        assert_eq!(observed.look(&dir.path().join("none")), None);
        assert_eq!(Observed::decode(&observed.encode()), Some(observed.clone()));
        assert_eq!(Observed::decode(b""), Some(Observed::default()));
        for bad in [&b"1 2 3"[..], b"1 2 3 4\0", b"x 2 3 4 /p\0", b"1 2 3 4 /p"] {
            assert_eq!(Observed::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_appears_and_what_grows_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, later) = (dir.path().join("file"), dir.path().join("later"));
        fs::write(&file, "x").unwrap();
        let mut observed = Observed::default();
        observed.look(&file);
        observed.look(&later);
        assert_eq!(observed.refreshed(), observed);
        assert!(observed.holds(&Observed::default()));
        fs::write(&later, "").unwrap();
        assert_ne!(observed.refreshed(), observed);
        assert!(!observed.holds(&Observed::default()));
        assert!(observed.holds(&observed), "what has been looked at already is not looked at again");
        fs::remove_file(&later).unwrap();
        fs::write(&file, "xy").unwrap();
        assert_ne!(observed.refreshed(), observed);
    }
}
