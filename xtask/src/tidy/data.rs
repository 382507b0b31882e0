//! What is generated does not belong in the repository: no large file, and nothing binary.

use super::Tree;
use std::fs;
use std::path::Path;

const MOST_BYTES: usize = 128 << 10;
/// Text that others write, as long as they like.
const ANY_SIZE: [&str; 2] = ["Cargo.lock", "LICENSE-"];

/// Packed by foreign tools, which the tests cannot count on: the one place for binary files, and their size.
const SPECIMENS: &str = "kernels/tests/data";
const MOST_SPECIMEN_BYTES: usize = 8 << 10;

/// Complaints about all files of the tree.
pub(super) fn complaints(tree: &Tree) -> Vec<String> {
    let look = |file: &std::path::PathBuf| complaint(file, &fs::read(tree.root.join(file)).ok()?);
    tree.files.iter().filter_map(look).collect()
}

fn complaint(file: &Path, bytes: &[u8]) -> Option<String> {
    let (name, len) = (file.display(), bytes.len());
    let is_binary = bytes.contains(&0) || std::str::from_utf8(bytes).is_err();
    if is_binary && !(file.starts_with(SPECIMENS) && len <= MOST_SPECIMEN_BYTES) {
        return Some(format!("{name}: {len} bytes that are no text: make them when they are needed"));
    }
    let may_be_large = ANY_SIZE.iter().any(|start| name.to_string().starts_with(start));
    (len > MOST_BYTES && !may_be_large)
        .then(|| format!("{name}: {len} bytes, more than {MOST_BYTES}: make them when they are needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, bytes: &[u8], expected: Option<&str>) {
        let complaint = complaint(Path::new(file), bytes);
        match expected {
            Some(words) => {
                assert!(complaint.as_ref().is_some_and(|said| said.contains(words)), "{file}: {complaint:?}")
            }
            None => assert_eq!(complaint, None, "{file}"),
        }
    }

    #[test]
    fn generated_files_are_told_from_sources() {
        let large = vec![b'x'; MOST_BYTES + 1];
        check("a.rs", b"//! Fine.\n", None);
        check("a/corpus.txt", &large, Some("more than 131072"));
        check("Cargo.lock", &large, None);
        check("LICENSE-MIT", &large, None);
        check("a/Cargo.lock", &large, Some("more than"));
        check("fuzz/corpus/1", b"a\0b", Some("no text"));
        check("fuzz/corpus/2", b"\xff\xfe", Some("no text"));
        check("kernels/tests/data/kernel.xz", b"a\0b", None);
        check("kernels/tests/data/vmlinux", &[0; MOST_SPECIMEN_BYTES + 1], Some("no text"));
    }
}
