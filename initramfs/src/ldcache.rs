//! The index that ldconfig(8) writes to `/etc/ld.so.cache`, in the format "glibc-ld.so.cache1.1".
//!
//! Source: glibc, sysdeps/generic/dl-cache.h: a 48-byte header, then 24-byte entries of flags, key, value, osversion and
//! hwcap, then strings; offsets count from the header. Older ldconfig puts an "ld.so-1.7.0" table in front.

use std::collections::HashMap;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;
const PATH_CAP_BYTES: usize = 4096;

/// Library names and the paths that the baseline loader would try for each, in its order.
#[derive(Debug, Default)]
pub(crate) struct LdCache {
    paths: HashMap<String, Vec<String>>,
}

impl LdCache {
    /// Reads the index. Like the loader, takes one that it cannot read for an empty one.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut paths: HashMap<String, Vec<String>> = HashMap::new();
        for (name, path) in new_format(bytes).map(entries).unwrap_or_default() {
            paths.entry(name).or_default().push(path);
        }
        Self { paths }
    }

    pub(crate) fn paths(&self, name: &str) -> &[String] {
        self.paths.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The part of the file that begins with the new format's header.
fn new_format(bytes: &[u8]) -> Option<&[u8]> {
    let start = if bytes.starts_with(OLD_MAGIC) {
        let count = usize::try_from(u32_at(bytes, 12)?).ok()?;
        count.checked_mul(12)?.checked_add(16)?.checked_next_multiple_of(8)?
    } else {
        0
    };
    bytes.get(start..).filter(|rest| rest.starts_with(MAGIC))
}

fn entries(bytes: &[u8]) -> Vec<(String, String)> {
    let count = u32_at(bytes, 20).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    let table = bytes.get(HEADER_BYTES..).unwrap_or_default();
    table.chunks_exact(ENTRY_BYTES).take(count).filter_map(|entry| baseline_entry(bytes, entry)).collect()
}

/// Name and path of an entry, unless it asks for more than the baseline CPU: the guest's emulated CPU may lack what the
/// host's has, so `glibc-hwcaps` variants (a non-zero hwcap) are passed over.
fn baseline_entry(bytes: &[u8], entry: &[u8]) -> Option<(String, String)> {
    let hwcap_free = entry.get(16..24)?.iter().all(|byte| *byte == 0);
    let text = |at| u32_at(entry, at).and_then(|offset| string_at(bytes, offset));
    if hwcap_free { Some((text(4)?, text(8)?)) } else { None }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn string_at(bytes: &[u8], offset: u32) -> Option<String> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let window = &rest[..rest.len().min(PATH_CAP_BYTES)];
    let end = window.iter().position(|byte| *byte == 0)?;
    String::from_utf8(window[..end].to_vec()).ok()
}

/// An index of `(name, path, hwcap)` entries, as ldconfig would write it.
#[cfg(test)]
pub(crate) fn encode(entries: &[(&str, &str, u64)]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    out.resize(HEADER_BYTES, 0);
    let mut strings = Vec::new();
    let base = HEADER_BYTES + entries.len() * ENTRY_BYTES;
    for (name, path, hwcap) in entries {
        out.extend_from_slice(&0x303_u32.to_le_bytes());
        for text in [name, path] {
            out.extend_from_slice(&((base + strings.len()) as u32).to_le_bytes());
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
        }
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&hwcap.to_le_bytes());
    }
    out.extend_from_slice(&strings);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAMPLE: &[(&str, &str, u64)] = &[
        ("libz.so.1", "/lib/hw/libz.so.1", 1 << 62),
        ("libz.so.1", "/lib/libz.so.1", 0),
        ("libz.so.1", "/lib32/libz.so.1", 0),
        ("liba.so", "/opt/liba.so", 0),
    ];

    #[test]
    fn gives_baseline_paths_in_order() {
        let cache = LdCache::parse(&encode(SAMPLE));
        assert_eq!(cache.paths("libz.so.1"), ["/lib/libz.so.1", "/lib32/libz.so.1"]);
        assert_eq!(cache.paths("liba.so"), ["/opt/liba.so"]);
        assert!(cache.paths("libnone.so").is_empty());
    }

    #[test]
    fn finds_the_new_table_behind_an_old_one() {
        let mut bytes = b"ld.so-1.7.0\0\x01\0\0\0".to_vec();
        bytes.resize(32, 0);
        bytes.extend_from_slice(&encode(SAMPLE));
        assert_eq!(LdCache::parse(&bytes).paths("liba.so"), ["/opt/liba.so"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn hostile_bytes_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..16),
                                     cut in any::<prop::sample::Index>()) {
            let mut bytes = encode(SAMPLE);
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            LdCache::parse(&bytes);
        }
    }
}
