//! A cache that has no snapshots yet, and all else that the cache of this host has.

use super::{Outcome, Specimen};
use ktstr::BootPart;
use ktstr_cache::Cache;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What it shares with the cache of this host.
const SHARED: [&str; 3] = ["kernels", "images", "image-recipes"];

/// The cache, removed when dropped.
pub(crate) struct OwnCache(tempfile::TempDir);

impl OwnCache {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = Cache::open_default().unwrap();
        for kind in SHARED {
            let target = host.root().join(kind);
            fs::create_dir_all(&target).unwrap();
            symlink(target, dir.path().join(kind)).unwrap();
        }
        Self(dir)
    }

    /// Under emulation, with this cache.
    pub(crate) fn specimen(&self, name: &'static str) -> Specimen {
        let mut specimen = Specimen::new(name).env("KTSTR_ACCEL", "tcg").env("KTSTR_CACHE_DIR", self.0.path());
        specimen.command().env_remove("KTSTR_SNAPSHOT");
        specimen
    }

    /// With the one snapshot that this specimen leaves.
    pub(crate) fn with_snapshot(name: &'static str) -> Self {
        let cache = Self::new();
        cache.check(cache.specimen(name), &BootPart::Kept);
        cache
    }

    /// Runs a specimen that passes, comes to its hello like this, and leaves nothing unfinished.
    pub(crate) fn check(&self, specimen: Specimen, boot: &BootPart) -> Outcome {
        let outcome = specimen.run();
        outcome.expect("Pass", &[]);
        assert_eq!(outcome.record.host.boot, *boot, "{}", outcome.output);
        assert_eq!(self.unfinished(), Vec::<PathBuf>::new());
        outcome
    }

    /// The directory of its snapshots, which is there from now on.
    pub(crate) fn snapshots(&self) -> PathBuf {
        let dir = self.0.path().join("snapshots");
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Its only snapshot.
    pub(crate) fn snapshot(&self) -> PathBuf {
        match self.entries().as_slice() {
            [path] => path.clone(),
            other => panic!("one snapshot is expected, and there are {other:?}"),
        }
    }

    /// All that is in the directory of snapshots, whole or not.
    pub(crate) fn entries(&self) -> Vec<PathBuf> {
        paths_in(&self.snapshots())
    }

    /// What makers and removers of snapshots have not finished.
    pub(crate) fn unfinished(&self) -> Vec<PathBuf> {
        let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        self.entries().into_iter().filter(is_hidden).collect()
    }
}

fn paths_in(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
