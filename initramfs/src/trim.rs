//! Removing from the cache: damaged entries, and the oldest images once all are beyond a budget, since each edit of a
//! test makes a new one.

use crate::Error;
use crate::recipe::RECIPES;
use crate::spec::{IMAGE_FILE, IMAGES};
use ktstr_cache::Cache;
use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime};

const BUDGET_BYTES: u64 = 2 << 30;
/// A younger image may be about to be booted by the process that made it.
const IN_USE: Duration = Duration::from_secs(3600);
/// A recipe is some hundred bytes; one this old is of a test binary that is long gone.
const RECIPE_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Removes the oldest images beyond the budget, and old recipes when that was necessary. Best effort: what cannot be
/// removed now is met again when the next image is made.
pub(crate) fn trim(cache: &Cache, keep: &str) {
    trim_to(cache, keep, BUDGET_BYTES, SystemTime::now());
}

/// Removes a damaged entry; that another process has just done so is as good.
pub(crate) fn discard(cache: &Cache, kind: &str, id: &str) -> Result<(), Error> {
    match cache.remove(kind, id) {
        Err(error) if cache.get(kind, id)?.is_some() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Notes the use of an image in its file's time, seldom enough to cost nothing. Best effort, as above.
pub(crate) fn mark_used(image: &Path, meta: &Metadata) {
    let now = SystemTime::now();
    if meta.modified().is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > IN_USE / 4)) {
        let _ = std::fs::File::open(image).and_then(|file| file.set_modified(now));
    }
}

fn trim_to(cache: &Cache, keep: &str, budget_bytes: u64, now: SystemTime) {
    let mut images: Vec<(SystemTime, u64, String)> = Vec::new();
    for id in cache.list(IMAGES).unwrap_or_default() {
        if let Ok(meta) = std::fs::metadata(cache.root().join(IMAGES).join(&id).join(IMAGE_FILE)) {
            images.push((meta.modified().unwrap_or(now), meta.len(), id));
        }
    }
    let mut total: u64 = images.iter().map(|(_, len_bytes, _)| len_bytes).sum();
    if total <= budget_bytes {
        return;
    }
    images.sort();
    for (made, len_bytes, id) in images {
        let idle = now.duration_since(made).is_ok_and(|age| age > IN_USE);
        if total <= budget_bytes || !idle {
            break;
        }
        if id != keep && cache.remove(IMAGES, &id).is_ok() {
            total -= len_bytes;
        }
    }
    for id in cache.list(RECIPES).unwrap_or_default() {
        let made = std::fs::metadata(cache.root().join(RECIPES).join(&id)).and_then(|meta| meta.modified());
        if made.is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > RECIPE_AGE)) {
            let _ = cache.remove(RECIPES, &id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_needs_no_discarding() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        cache.get_or_make::<ktstr_cache::Error>(IMAGES, "a", |_| Ok(())).unwrap();
        discard(&cache, IMAGES, "a").unwrap();
        assert!(cache.list(IMAGES).unwrap().is_empty());
        discard(&cache, IMAGES, "a").unwrap();
        assert!(discard(&cache, IMAGES, "../a").is_err());
    }

    #[test]
    fn use_makes_an_image_young() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let meta = || file.as_file().metadata().unwrap();
        let modified = || meta().modified().unwrap();
        file.as_file().set_modified(SystemTime::now() - 2 * IN_USE).unwrap();
        mark_used(file.path(), &meta());
        assert!(modified() > SystemTime::now() - IN_USE);
        let recent = modified();
        mark_used(file.path(), &meta());
        assert_eq!(modified(), recent);
    }

    #[test]
    fn the_oldest_go_and_the_young_stay() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let make = |id: &str| {
            let made = cache.get_or_make::<ktstr_cache::Error>(IMAGES, id, |dir| {
                std::fs::write(dir.join(IMAGE_FILE), [0; 100]).unwrap();
                Ok(())
            });
            made.unwrap();
        };
        let hours = |count: u32| Duration::from_secs(3600) * count;
        for (id, age_hours) in [("a", 9), ("b", 8), ("c", 7)] {
            make(id);
            let file = std::fs::File::open(dir.path().join(IMAGES).join(id).join(IMAGE_FILE)).unwrap();
            file.set_modified(SystemTime::now() - hours(age_hours)).unwrap();
        }
        make("young");
        trim_to(&cache, "b", 400, SystemTime::now());
        assert_eq!(cache.list(IMAGES).unwrap(), ["a", "b", "c", "young"]);
        trim_to(&cache, "b", 300, SystemTime::now());
        assert_eq!(cache.list(IMAGES).unwrap(), ["b", "c", "young"]);
        trim_to(&cache, "b", 0, SystemTime::now());
        assert_eq!(cache.list(IMAGES).unwrap(), ["b", "young"]);
    }
}
