//! Entries for the fuzz targets: bytes that others wrote go in, and nothing may break.

use crate::ldcache::LdCache;
use crate::{elf, recipe, script, strip};

/// A program or a library.
pub fn program(bytes: &[u8]) {
    let facts = elf::facts(bytes);
    let _ = script::shebang(bytes);
    let stripped = strip::strip(bytes.to_vec());
    // What the loader reads is what stripping must leave.
    assert!(stripped.len() <= bytes.len() && elf::facts(&stripped) == facts);
}

/// `/etc/ld.so.cache`.
pub fn ld_cache(bytes: &[u8]) {
    let _ = LdCache::parse(bytes).paths("libc.so.6");
}

/// A recipe of the cache.
pub fn recipe(bytes: &[u8]) {
    if let Some((_, _, observed)) = recipe::parse(bytes) {
        assert!(recipe::parse(&[b"id 1\n".as_slice(), &observed.encode()].concat()).is_some());
    }
}
