//! From a spec to its image without opening a file: what was looked at when the image was made, and what came out.
//!
//! A recipe is stored under a key that identifies the spec and the files it names. It holds for as long as every path
//! in it still looks the same. When one does not (a library was upgraded, or one appeared in a directory searched
//! earlier), the next key is made of the old one and the new looks, and the search goes on there. So entries never
//! change, and processes that race need no lock to read them.

use crate::observed::Observed;
use crate::{Error, Image, trim};
use ktstr_cache::Cache;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The cache's kind of recipes.
pub(crate) const RECIPES: &str = "image-recipes";
const RECIPE_FILE: &str = "recipe";
/// To be raised when the same inputs would give other bytes.
const FORMAT: &[u8] = b"ktstr image 1\n";
/// As many upgrades of libraries under an unchanged spec are followed; a longer walk ends in making the image again.
const CHAIN_LIMIT: usize = 64;
/// A file may be changed again without its time changing, while the file system's clock stands still (at most a tick
/// of 10 ms); what is younger than this is not recorded.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// What a look into the recipes gave.
pub(crate) enum Lookup {
    /// The image is there.
    Hit(Image),
    /// It is to be made, and recorded under this key.
    Miss(String),
}

/// A hasher that already knows this version of the format.
pub(crate) fn hasher() -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(FORMAT);
    hasher
}

pub(crate) fn hex(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex().to_string()
}

/// Looks for the image of a spec, beginning at the spec's key; `looked` is what its making has looked at just now.
pub(crate) fn lookup(cache: &Cache, mut key: String, looked: &Observed) -> Result<Lookup, Error> {
    for _ in 0..CHAIN_LIMIT {
        let Some((id, len_bytes, observed)) = read(&cache.entry_path(RECIPES, &key)?.join(RECIPE_FILE)) else {
            if cache.get(RECIPES, &key)?.is_some() {
                trim::discard(cache, RECIPES, &key)?;
            }
            break;
        };
        if observed.holds(looked) {
            return Ok(Image::used(cache, &id, len_bytes)?.map_or(Lookup::Miss(key), Lookup::Hit));
        }
        key = hex(hasher().update(key.as_bytes()).update(&observed.refreshed().encode()));
    }
    Ok(Lookup::Miss(key))
}

/// Stores what was looked at and what came out.
pub(crate) fn record(cache: &Cache, key: &str, image: &Image, observed: &Observed) -> Result<(), Error> {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let settled_ns = i128::try_from(now_ns.saturating_sub(CLOCK_STEP.as_nanos())).unwrap_or(i128::MAX);
    if observed.newest_ns() > settled_ns {
        return Ok(());
    }
    let mut text = format!("{} {}\n", image.id, image.len_bytes).into_bytes();
    text.extend_from_slice(&observed.encode());
    cache.get_or_make(RECIPES, key, |dir| {
        let path = dir.join(RECIPE_FILE);
        std::fs::write(&path, &text).map_err(|source| Error::Write { path, source })
    })?;
    Ok(())
}

fn read(path: &Path) -> Option<(String, u64, Observed)> {
    parse(&std::fs::read(path).ok()?)
}

/// The image's id and size, and what was looked at.
pub(crate) fn parse(bytes: &[u8]) -> Option<(String, u64, Observed)> {
    let line_end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (id, len_bytes) = std::str::from_utf8(&bytes[..line_end]).ok()?.split_once(' ')?;
    Some((id.to_owned(), len_bytes.parse().ok()?, Observed::decode(&bytes[line_end + 1..])?))
}
